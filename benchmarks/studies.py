"""The studies that are compared: the pipeline's own on mnist_5k, but for their seed, sampler, pruner and window."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reprotune import params
from reprotune.data import datasets, stored
from reprotune.search.study import declaration, journal, window
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial


def dataset() -> stored.StoredDataset:
    """The digits, made if they are missing: before workers look for them."""
    folder = Path("data/mnist_5k")
    if not folder.exists():
        datasets.download(params.load().data.model_copy(update={"dataset": "mnist_5k"}), 0, folder)
    return stored.StoredDataset(folder)


def spec(name: str, seed: int, sampler: str, pruner: str, window: int) -> StudySpec:
    """name: the section of params.yaml. The study ends where its reader does, and has no floor: search.csv had none."""
    return changed(declaration.from_params(params.load(), name, dataset()), seed, sampler, pruner, window)


def changed(declared: StudySpec, seed: int, sampler: str, pruner: str, window: int) -> StudySpec:
    changes = {"seed": seed, "sampler": sampler, "pruner": pruner, "window": window}
    return replace(declared, **changes, min_accuracy=None, n_trials=10_000, timeout=None)  # type: ignore[arg-type]


class Inline(Executor):
    """Runs a task when it is submitted, in this process: several studies side by side leave no core idle."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def run(declared: StudySpec, enough: Callable[[Sequence[Trial]], bool]) -> list[Trial]:
    """The study's first trials, until there are enough of them."""
    trials: list[Trial] = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / declared.journal
        with journal.opened(path, declared.directions, lambda _: False) as opened:
            for trial in window.run(declared, opened, Inline()):
                trials.append(trial)
                if enough(trials):
                    break
    return trials
