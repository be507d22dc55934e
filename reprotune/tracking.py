"""MLflow: an experiment a stage, a parent run a study, a nested run a trial.

The store is a view of what the journals and results hold: runs are written in order, an interrupted one is
written again, one that exists is left alone. Points carry the time at which their trial ended, so that a
point that is logged again is the same point.
"""

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune import store
from reprotune.curve import Epoch
from reprotune.errors import line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from optuna import Study

    from reprotune.spec import Spec
    from reprotune.study import Trial

_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
_BATCH = 1000  # metrics that MLflow takes at once
NOTE = "mlflow.note.content"  # what MLflow shows as a description, in Markdown
_ABOUT = {
    "download": "The datasets: a run for each, with its sizes, class balance and samples.",
    "single_objective": "Studies that maximise validation accuracy: a run each, and nested in it a run for each trial.",
    "multi_objective": "Studies that also minimise a cost: a run each, and nested in it a run for each trial.",
    "evaluate": "The winners, trained again on train and valid, on test data; nested, a run for each of them.",
}
Point = tuple[str, float, int, int]  # metric, value, step, milliseconds since 1970


class ParentRun:
    """The MLflow run of a study, of the evaluation or of a dataset, and the runs nested in it."""

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
                f"MLflow failed and is left alone ({line(error)}); `make tracking` makes up for it",
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

    def log_trial(self, spec: "Spec", study: "Study", trial: "Trial") -> None:
        """The nested run of a told trial: written by Optuna's callback, then its curve, cost and status added."""
        import mlflow
        from optuna_integration import MLflowCallback

        if trial.number in self._nested:
            return
        result, ended = trial.result, _milliseconds(trial)
        tags = {"mlflow.parentRunId": self.id, "study": self._run.data.tags["study"], "reason": result.reason}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="MLflowCallback has been deprecated", category=FutureWarning)
            callback = MLflowCallback(
                metric_name=list(spec.objectives),
                create_experiment=False,
                mlflow_kwargs={"run_name": _name(trial), "tags": tags},
                tag_trial_user_attrs=False,
            )
        callback(study, trial.optuna)
        run = mlflow.last_active_run()
        assert run is not None
        logged = spec.objectives if trial.optuna.values is not None else ()
        cost = result.cost._asdict() if result.cost else {}
        final = {"accuracy": result.accuracy, **cost, "duration": result.seconds}
        points: list[Point] = [
            (name, value, epoch, ended)
            for epoch, at in enumerate(result.curve, start=1)
            for name, value in zip(Epoch._fields, at, strict=True)
        ]
        points += [(name, v, 0, ended) for name, v in final.items() if v is not None and name not in logged]
        self._log(run.info.run_id, points)
        if result.state != "COMPLETE":
            self._client.set_terminated(run.info.run_id, _STATUS[result.state])
        self._nested[trial.number] = run.info.run_id

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
        times = [_milliseconds(trial) for trial in trials]
        for name, values in series.items():
            at = enumerate(zip(values, times, strict=True))
            self._log(self.id, [(name, value, step, timestamp) for step, (value, timestamp) in at])

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Final values. One that is already there is not logged again."""
        known = self._client.get_run(self.id).data.metrics
        now = int(time.time() * 1000)
        self._log(self.id, [(name, value, 0, now) for name, value in metrics.items() if known.get(name) != value])

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        for key, value in tags.items():
            self._client.set_tag(self.id, key, value)

    def log_files(self, folder: Path, under: str = "") -> None:
        """All files below the folder but DVC's hidden ones."""
        for path in sorted(folder.rglob("[!.]*.*")):
            below = (Path(under) / path.parent.relative_to(folder)).as_posix()
            self.log_file(path, None if below == "." else below)

    def log_file(self, path: Path, below: str | None = None) -> None:
        self._client.log_artifact(self.id, str(path), below)

    def _log(self, run_id: str, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(name, value, timestamp, step) for name, value, step, timestamp in points]
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


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
    key, name = _key(identity), os.environ.get("DVC_EXP_NAME", "")
    tags = {"key": key, "study": identity[:12], "dvc_experiment": name, MLFLOW_GIT_COMMIT: _git_commit()}
    run = next(store.search(client, experiment_id, f"tags.key = '{key}'"), None)
    run = run or client.create_run(experiment_id, run_name=f"{experiment} {key}", tags=tags)
    # Not `mlflow.start_run`: while a run is active, MLflow does not tell which one Optuna's callback made.
    client.update_run(run.info.run_id, status="RUNNING")
    client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in _flat(params)])
    return ParentRun(client, run)


def curves(spec: "Spec", numbers: Sequence[int]) -> dict[int, list[Epoch]]:
    """Trial number → the learning curve that the store has, for those of `numbers` that it has."""
    with store.usable():
        client, experiment_id = store.experiment(spec.name)
    parent = next(store.search(client, experiment_id, f"tags.key = '{_key(spec.identity)}'"), None)
    condition = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'" if parent else "tags.number = ''"
    runs = {int(run.data.tags["number"]): run.info.run_id for run in store.search(client, experiment_id, condition)}
    return {number: _curve(client, runs[number]) for number in numbers if number in runs}


def _curve(client: "MlflowClient", run_id: str) -> list[Epoch]:
    metrics = (sorted(client.get_metric_history(run_id, name), key=lambda m: m.step) for name in Epoch._fields)
    return [Epoch(*(metric.value for metric in point)) for point in zip(*metrics, strict=True)]


def _name(trial: "Trial") -> str:
    accuracy = "" if trial.result.accuracy is None else f" {trial.result.accuracy:.4f}"
    return f"trial {trial.number}: {trial.result.state.lower()}{accuracy}"


def _key(identity: str) -> str:
    """Names a parent run. A DVC experiment (`dvc exp run`) has one of its own, in the store of its repository."""
    return f"{identity[:12]} {os.environ.get('DVC_EXP_NAME', '')}".strip()


def _git_commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    return found.stdout.strip()


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """{"a": {"b": 1}} → ("a.b", 1), as `dvc params diff` names them."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _milliseconds(trial: "Trial") -> int:
    assert trial.optuna.datetime_complete is not None
    return int(trial.optuna.datetime_complete.timestamp() * 1000)
