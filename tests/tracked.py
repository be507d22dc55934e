"""A study whose trials go to MLflow, and what is there then."""

from collections import Counter
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest
from conftest import InlineExecutor
from mlflow import MlflowClient
from mlflow.entities import Run

from reprotune.search.study import journal, window
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial
from reprotune.tracking import store
from reprotune.tracking.parent_run import parent_run


def track(
    declared: StudySpec, folder: Path, kill_after: int | None = None, executor: Executor | None = None
) -> list[Trial]:
    """Run the study as a stage does; `kill_after`: stop within the run of this trial, half-written."""
    trials = []
    with (
        journal.opened(folder / declared.journal, declared.directions, lambda _: False) as opened,
        parent_run(declared.name, declared.identity, {"seed": 0, "lr": {"low": 1}}) as parent,
        pytest.MonkeyPatch.context() as patch,
    ):
        for trial in window.run(declared, opened, executor or InlineExecutor()):
            if trial.number == kill_after:
                patch.setattr(store, "log", fail)
            parent.log_trial(declared, opened.study, trial)
            trials.append(trial)
        parent.keep_only(len(trials))
    return trials


def fail(*_: Any) -> None:
    raise KeyboardInterrupt


def runs(repository: Path, name: str) -> tuple[list[Run], dict[int, Run]]:
    """(parents, trial number → nested run)."""
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    found = list(client.search_runs([experiment.experiment_id]))
    parents = [r for r in found if "mlflow.parentRunId" not in r.data.tags]
    nested = [r for r in found if "mlflow.parentRunId" in r.data.tags]
    assert {r.data.tags["mlflow.parentRunId"] for r in nested} <= {r.info.run_id for r in parents}
    numbers = Counter(int(r.data.tags["number"]) for r in nested)
    assert set(numbers.values()) <= {1}
    return parents, {int(r.data.tags["number"]): r for r in nested}
