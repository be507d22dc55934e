"""The studies that are compared: the pipeline's own on mnist_5k, but for their seed, sampler, pruner and window."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from reprotune import datasets, engine, journal, params, study
from reprotune import spec as specs
from reprotune.spec import Spec
from reprotune.study import Trial


def spec(name: str, seed: int, sampler: str, pruner: str, window: int) -> Spec:
    """name: the section of params.yaml. The study ends where its reader does."""
    chosen, folder = params.load(), Path("data/mnist_5k")
    if not folder.exists():
        datasets.download(chosen.data.model_copy(update={"dataset": "mnist_5k"}), 0, folder)
    declared = specs.of(chosen, name, datasets.StoredDataset(folder))
    changes = {"seed": seed, "sampler": sampler, "pruner": pruner, "window": window}
    return replace(declared, **changes, n_trials=10_000, timeout=None)  # type: ignore[arg-type]


def run(declared: Spec, enough: Callable[[Sequence[Trial]], bool]) -> list[Trial]:
    """The study's first trials, until there are enough of them; on as many workers as params.yaml says."""
    trials: list[Trial] = []
    with TemporaryDirectory() as folder, engine.started(params.load().execution) as executor:
        path = Path(folder) / declared.journal
        with journal.opened(path, declared.directions, lambda _: False) as opened:
            for trial in study.run(declared, opened, executor):
                trials.append(trial)
                if enough(trials):
                    break
    return trials
