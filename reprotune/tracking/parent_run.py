"""A parent run: of a study, or of the evaluation; and the runs nested in it.

MLflow's store is a view of what the journals and results hold: runs are written in order, an interrupted one is
written again, one that exists is left alone.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune.artifacts import flat
from reprotune.environment import git
from reprotune.errors import one_line
from reprotune.tracking import store, trial_run
from reprotune.tracking.trial_run import milliseconds

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from optuna import Study

    from reprotune.search.spec import StudySpec
    from reprotune.search.study import Trial

Files = Iterable[tuple[Path, str | None]]  # file, and the folder of the run's artifacts that it goes to
NOTE = "mlflow.note.content"  # what MLflow shows as a description, in Markdown
_ABOUT = {
    "single_objective": "Studies that maximise validation accuracy: a run each, and nested in it a run for each trial.",
    "multi_objective": "Studies that also minimise a cost: a run each, and nested in it a run for each trial.",
    "evaluate": "The winners, trained again on train and valid, on test data; nested, a run for each of them.",
}


class ParentRun:
    """The MLflow run of a study or of the evaluation, and the runs nested in it."""

    def __init__(self, client: "MlflowClient", run: "Run") -> None:
        self._client = client
        self._run = run
        self._nested = self._complete_runs()
        self.failed = False

    @contextmanager
    def surviving(self) -> Iterator[None]:
        """A store that fails in the middle costs no trial: it is left alone from then on, and made up later."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:  # requests' errors are OSErrors
            self.failed = True
            print(
                f"MLflow failed and is left alone ({one_line(error)}); `make tracking` makes up for it",
                file=sys.stderr,
            )

    def end(self, status: str) -> None:
        if not self.failed:
            with self.surviving():
                self._client.set_terminated(self.id, status)

    def _complete_runs(self) -> dict[int, str]:
        """Trial number → run id. Runs are written in order, so only the last can be half-written: it is dropped."""
        runs: dict[int, str] = {}
        for run in store.search(self._client, self._run.info.experiment_id, f"tags.`mlflow.parentRunId` = '{self.id}'"):
            number = int(run.data.tags.get("number", -1))
            if number < 0 or number in runs or run.info.status == "RUNNING":
                self._client.delete_run(run.info.run_id)
            else:
                runs[number] = run.info.run_id
        if runs:
            self._client.delete_run(runs.pop(max(runs)))
        return runs

    @property
    def id(self) -> str:
        return str(self._run.info.run_id)

    def log_trial(self, spec: "StudySpec", study: "Study", trial: "Trial") -> None:
        """The nested run of a told trial, unless it is there."""
        if trial.number not in self._nested:
            self._nested[trial.number] = trial_run.write(self._client, self._run, spec, study, trial)

    def log_config(self, number: int, name: str, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """A nested run of the evaluation: one winner, its hyperparameters and its scores."""
        import mlflow

        if number not in self._nested:
            with mlflow.start_run(run_name=name, tags={"mlflow.parentRunId": self.id, "number": str(number)}):
                mlflow.log_params(dict(config))
                mlflow.log_metrics(dict(metrics))

    def keep_only(self, trials: int) -> None:
        """Drop the runs of trials beyond the study's number of trials, which may have been lowered."""
        for number in [number for number in self._nested if number >= trials]:
            self._client.delete_run(self._nested.pop(number))

    def log_series(self, series: Mapping[str, Sequence[float]], trials: "Sequence[Trial]") -> None:
        """Metrics with a value for each trial number."""
        times = [milliseconds(trial) for trial in trials]
        for name, values in series.items():
            at = enumerate(zip(values, times, strict=True))
            store.log_points(self._client, self.id, [(name, value, step, timestamp) for step, (value, timestamp) in at])

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Final values. One that is already there is not logged again."""
        known = self._client.get_run(self.id).data.metrics
        now = int(time.time() * 1000)
        new = [(name, value, 0, now) for name, value in metrics.items() if known.get(name) != value]
        store.log_points(self._client, self.id, new)

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        for key, value in tags.items():
            self._client.set_tag(self.id, key, value)

    def log_files(self, files: Files) -> None:
        _log_files(self._client, self.id, files)


@contextmanager
def parent_run(experiment: str, identity: str, params: Mapping[str, Any]) -> Iterator[ParentRun]:
    """The run of this identity in the experiment: the one that is there goes on, else a new one is made."""
    with store.usable():
        parent = _begun(experiment, identity, params)
    status = "FAILED"
    try:
        yield parent
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        parent.end(status)


def _begun(experiment: str, identity: str, params: Mapping[str, Any]) -> ParentRun:
    import mlflow  # 2 s, while the workers start
    from mlflow.entities import Param
    from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

    client, experiment_id = store.experiment(experiment)
    client.set_experiment_tag(experiment_id, NOTE, _ABOUT.get(experiment, ""))
    mlflow.set_experiment(experiment_id=experiment_id)
    key, name = store.key(identity), os.environ.get("DVC_EXP_NAME", "")
    commit = git("rev-parse", "HEAD")
    tags = {"key": key, "study": identity[:12], "dvc_experiment": name, MLFLOW_GIT_COMMIT: commit}
    run = store.find(client, experiment_id, identity)
    run = run or client.create_run(experiment_id, run_name=f"{experiment} {key}", tags=tags)
    # Not `mlflow.start_run`: while a run is active, MLflow does not tell which one Optuna's callback made.
    client.update_run(run.info.run_id, status="RUNNING")
    new = {key: value for key, value in flat(params) if key not in run.data.params}  # MLflow refuses to change one
    client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in new.items()])
    return ParentRun(client, run)


def add_files(experiment: str, identity: str, files: Files) -> None:
    """Give files to the run of this identity, if the store has it."""
    with store.usable():
        client, experiment_id = store.experiment(experiment)
        if run := store.find(client, experiment_id, identity):
            _log_files(client, run.info.run_id, files)


def _log_files(client: "MlflowClient", run_id: str, files: Files) -> None:
    for path, below in files:
        client.log_artifact(run_id, str(path), below)
