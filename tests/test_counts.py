"""What a trial costs, in counts that no other machine changes: a step too many shows here before it is felt."""

import gc
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from conftest import HEAVY, ROOT, committed, make_execution, make_params, run
from optuna.trial import FrozenTrial
from ruamel.yaml import YAML
from sqlalchemy import event
from sqlalchemy.engine import Engine
from torch.utils._python_dispatch import TorchDispatchMode
from tracked import track

from reprotune.data.images import Split
from reprotune.data.stored import StoredDataset
from reprotune.execution import engines
from reprotune.search.history import History, PastTrial
from reprotune.search.space import default_config
from reprotune.search.study import declaration, tasks
from reprotune.search.study.journal import Journal
from reprotune.training.fit import fit, new_model


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("optimizer", "most"), [("Adam", 62), ("RMSprop", 76), ("SGD", 61)])
def test_operators_of_a_training_step(dataset: StoredDataset, optimizer: str, most: int) -> None:
    """Two hidden layers with dropout, nothing augmented."""
    config = {**default_config(make_params()), "optimizer": optimizer, "momentum": 0.0, "batch_size": 16, "epochs": 1}
    images, labels = dataset.load("train")

    def operators(steps: int) -> int:
        part = Split(images[: 16 * steps], labels[: 16 * steps])
        with Operators() as counter:  # type: ignore[no-untyped-call]
            list(fit(new_model(config, dataset.inputs, 0), config, part, 0))
        return int(counter.count)

    assert (operators(9) - operators(1)) / 8 <= most


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """SQL statements and transactions of this process, while this lasts."""
    counts = {"statements": 0, "transactions": 0}

    def statement(*_: Any) -> None:
        counts["statements"] += 1

    def transaction(*_: Any) -> None:
        counts["transactions"] += 1

    listeners: list[tuple[str, Callable[..., None]]] = [("before_cursor_execute", statement), ("commit", transaction)]
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    yield counts
    for name, listener in listeners:
        event.remove(Engine, name, listener)


def test_transactions_of_a_trial(repository: Path, dataset: StoredDataset) -> None:
    def count(n_trials: int) -> dict[str, int]:
        declared = declaration.from_params(
            make_params(single_objective__n_trials=n_trials, single_objective__pruner="none"),
            "single_objective",
            dataset,
        )
        with counted() as counts:
            track(declared, repository)
        (repository / declared.journal).unlink()
        return counts

    count(1)
    few, many = count(2), count(10)
    assert (many["transactions"] - few["transactions"]) / 8 <= 9
    assert (many["statements"] - few["statements"]) / 8 <= 51


def test_bytes_sent_for_a_trial(dataset: StoredDataset) -> None:
    """To a worker whose pruner compares with 1,000 trials of 10 epochs: the curves, and little else."""
    declared = declaration.from_params(make_params(), "multi_objective", dataset)
    history = History()
    for number in range(1000):
        history.append(PastTrial("COMPLETE", tuple(1 / (number + epoch + 2) for epoch in range(10)), 1234, {}))
    sent = len(pickle.dumps(tasks.task(declared, 1000, default_config(make_params()), history)))
    assert sent <= 242_000


def test_the_journal_is_listed_as_often_however_many_trials_there_are(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing takes as long as the study is: once a trial, it would be quadratic."""
    listed = []

    def trials(self: Journal) -> list[FrozenTrial]:
        listed.append(self)
        return self.study.get_trials(deepcopy=False)

    monkeypatch.setattr(Journal, "trials", property(trials))
    counts = []
    for n_trials in (2, 6):
        run(
            declaration.from_params(make_params(single_objective__n_trials=n_trials), "single_objective", dataset),
            tmp_path,
        )
        (tmp_path / "studies").rename(tmp_path / f"studies of {n_trials}")
        counts.append(len(listed))
        listed.clear()
    assert counts[0] == counts[1]


# What a stage does → the heavy modules that it takes.
TAKEN: dict[str, tuple[str, set[str]]] = {
    "download": ("from stages import download; download.main()", set()),
    "download --check": ("sys.argv.append('--check'); from stages import download; download.main()", set()),
    "summary, advise, digest": (
        "from stages import advise, digest, summary; from reprotune.results import digest",
        set(),
    ),
    "a cost on the meta device, and a trial": (
        """
        from stages import download
        from reprotune import params
        from reprotune.data.stored import StoredDataset
        from reprotune.search.history import HistorySnapshot
        from reprotune.search.space import default_config
        from reprotune.search.trial import Task, run_trial
        from reprotune.training.cost import measure
        from reprotune.training.models import MODELS, meta_model
        from reprotune.training.optimizers import OPTIMIZERS
        download.main()
        config, stored = default_config(params.load()), StoredDataset(Path("data/mnist_5k"))
        own = {"channels_1": 8, "channels_2": 8, "blocks": 2, "kernel": 3, "pooling": "average"}
        for name in MODELS:
            measure(meta_model({**config, **own, "model": name}, stored.inputs), stored.inputs.shape)
        for name in OPTIMIZERS:
            chosen = {**config, "optimizer": name, "momentum": 0.5, "epochs": 1, "schedule": "one_cycle"}
            task = Task(0, chosen, 0, stored.folder, stored.digest, "cpu", None, "none", {}, HistorySnapshot())
            assert run_trial(task).state == "COMPLETE"
        """,
        {"optuna", "thop", "torch"},
    ),
    "importances": (
        "from reprotune.results import importances; importances.importances([], 'accuracy')",
        {"optuna", "scipy"},
    ),
    "retry, without a study": (
        """
        from stages import retry
        try:
            retry.main()
        except Exception as error:
            assert "data/mnist_5k" in str(error)
        """,
        {"optuna"},
    ),
}


@pytest.mark.parametrize("stage", TAKEN)
def test_heavy_modules_that_a_stage_takes(stage: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(committed("params.yaml"))
    (tmp_path / "images").mkdir()
    code, taken = TAKEN[stage]
    lines = ["import json, sys", "from pathlib import Path", dedent(code)]
    lines.append("Path('modules').write_text(json.dumps([*sys.modules]))")
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "\n".join(lines)]
    subprocess.run(command, cwd=tmp_path, env=variables, check=True, capture_output=True)
    assert HEAVY & set(json.loads((tmp_path / "modules").read_text())) <= taken


def test_what_is_imported_is_not_looked_through_for_garbage() -> None:
    """In a worker, or as a stage ends: what PyTorch and MLflow bring with them takes a second to look through."""
    with engines.started(make_execution()) as pool:
        assert pool.submit(gc.get_freeze_count).result() > 100_000
        assert pool.submit(gc.isenabled).result()
    code = """
    import atexit, gc
    atexit.register(lambda: print(gc.get_freeze_count() > 10_000))
    from reprotune import cli
    cli.run(lambda: None)
    """
    assert subprocess.check_output([sys.executable, "-c", dedent(code)], cwd=ROOT) == b"True\n"


def test_dvc_reads_its_files_by_libyaml() -> None:
    """As ruamel.yaml does if it is installed: the parser in Python takes four times as long, at each command."""
    assert YAML(typ="safe").Parser is not YAML(typ="safe", pure=True).Parser
