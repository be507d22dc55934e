"""A trial's run: written by Optuna's MLflowCallback, then completed; and its learning curve, read back.

Points carry the time at which their trial ended, so that a point that is logged again is the same point.
"""

import re
import warnings
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

from reprotune.tracking import store
from reprotune.tracking.store import Point
from reprotune.training.learning_curve import Epoch

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from optuna import Study
    from optuna.study import StudyDirection

    from reprotune.search.study.spec import StudySpec
    from reprotune.search.study.trials import Trial

_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
_STATES = {"COMPLETE": "Complete", "PRUNED": "Pruned", "FAIL": "Failed"}


def write(client: "MlflowClient", parent: "Run", spec: "StudySpec", study: "Study", trial: "Trial") -> str:
    """The run of a told trial, nested in its study's `parent`: params, curve, cost, status. Returns its id."""
    from optuna_integration import MLflowCallback

    result = trial.result
    tags = {"mlflow.parentRunId": parent.info.run_id, "study": parent.data.tags["study"], "reason": result.reason}
    tags[store.MARK] = str(trial.number)
    if result.reason:
        tags[store.NOTE] = _note(_STATES[result.state], len(result.curve), result.reason)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="MLflowCallback has been deprecated", category=FutureWarning)
        callback = MLflowCallback(
            metric_name=list(spec.objectives),
            create_experiment=False,
            mlflow_kwargs={"run_name": _name(trial), "tags": tags},
            tag_trial_user_attrs=False,
        )
    # Of it the callback writes what it alone can, the state; each of its writes costs as much as the one batch below.
    told = copy(trial.optuna)
    told.values, told.params, told.distributions = None, {}, {}
    callback(seen := _Seen(study.directions), told)
    # It began when it was written, which cannot be set; so it ends where it has taken as long as the trial.
    client.set_terminated(seen.run_id, _STATUS[result.state], seen.began + round(1000 * (result.seconds or 0)))
    store.log(client, seen.run_id, _points(trial), trial.optuna.params)
    return seen.run_id


def _note(state: str, epochs: int | str, reason: str) -> str:
    return f"{state} after epoch {epochs}: {reason}"


def has_a_persons_note(run: "Run") -> bool:
    note, reason = (run.data.tags.get(tag, "") for tag in (store.NOTE, "reason"))
    ours = _note(f"({'|'.join(_STATES.values())})", r"\d+", re.escape(reason))
    return bool(note) and not re.fullmatch(ours, note)


def tells(run: "Run", trial: "Trial") -> bool:
    """Whether a run is this trial's, by its state, params and last metrics: all but times, which results lack."""
    status: str = run.info.status
    params = {name: str(value) for name, value in trial.config.items()}
    metrics = {name: value for name, value, _, _ in _points(trial) if name != "duration"}
    return (
        status == _STATUS[trial.result.state]
        and params.items() <= run.data.params.items()  # to which a person may have added
        and metrics.items() <= run.data.metrics.items()
    )


def _points(trial: "Trial") -> list[Point]:
    result, ended = trial.result, milliseconds(trial)
    cost = result.cost._asdict() if result.cost else {}
    final = {"accuracy": result.accuracy, **cost, "duration": result.seconds}
    points: list[Point] = [
        (name, value, epoch, ended)
        for epoch, at in enumerate(result.curve, start=1)
        for name, value in zip(Epoch._fields, at, strict=True)
    ]
    points += [(name, value, 0, ended) for name, value in final.items() if value is not None]
    return [*points, ("epochs_trained", len(result.curve), 0, ended)]  # the last: `store.number` looks for it


class _Seen:
    """What the callback reads of a study. It does so within the run that it makes, which it does not name."""

    def __init__(self, directions: "list[StudyDirection]") -> None:
        self._directions = directions
        self.run_id, self.began = "", 0  # milliseconds since 1970

    @property
    def directions(self) -> "list[StudyDirection]":
        import mlflow

        run = mlflow.active_run().info
        self.run_id, self.began = run.run_id, run.start_time
        return self._directions


def curves(spec: "StudySpec", numbers: Sequence[int]) -> dict[int, list[Epoch]]:
    """Trial number → the learning curve that the store has, for those of `numbers` that it has."""
    with store.usable(*store.MISTAKEN):
        client, experiment_id = store.experiment(spec.name)
        parent = store.find(client, experiment_id, spec.identity)
        nested = store.nested(client, experiment_id, parent.info.run_id) if parent else ()
        runs = {store.number(run): run.info.run_id for run in nested}
        return {number: _curve(client, runs[number]) for number in numbers if number in runs}


def _curve(client: "MlflowClient", run_id: str) -> list[Epoch]:
    metrics = (sorted(client.get_metric_history(run_id, name), key=lambda m: m.step) for name in Epoch._fields)
    return [Epoch(*(metric.value for metric in point)) for point in zip(*metrics, strict=True)]


def _name(trial: "Trial") -> str:
    """MLflow's table cuts it after some 20 characters: the useful ones first. Without a state, it is complete."""
    result = trial.result
    accuracy = [] if result.accuracy is None else [f"{result.accuracy:.4f}"]
    state = [] if result.state == "COMPLETE" else [_STATES[result.state].lower()]
    return " ".join([*accuracy, f"#{trial.number}", *state])


def milliseconds(trial: "Trial") -> int:
    """When it ended, since 1970."""
    assert trial.optuna.datetime_complete is not None
    return int(trial.optuna.datetime_complete.timestamp() * 1000)
