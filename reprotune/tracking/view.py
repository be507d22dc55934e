"""How MLflow's page shows an experiment: which columns, sorted by what; and the link that opens it so.

MLflow reads that from a tag of the experiment, as it does the views that a person saves on the page.
"""

import json
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

_KEY = "reprotune"
TAG = f"mlflow.sharedViewState.{_KEY}"
_TRIALS = ("accuracy", "accuracy_mean", "epochs_trained", "flops", "parameters")
_SCORES = ("test_accuracy_mean", "test_accuracy_std", "flops", "parameters")
_TRAINING = "workflowType=machine_learning"  # else MLflow may open its side for language models


def link(experiment_id: str, tags: Mapping[str, str]) -> str:
    """To an experiment with these tags, from the server's address on."""
    shown = f"&viewStateShareKey={_KEY}" if TAG in tags else ""
    return f"/#/experiments/{experiment_id}/runs?{_TRAINING}{shown}"


def of_run(experiment_id: str, run_id: str) -> str:
    """To a run, for a description: on whichever server that is read."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{_TRAINING}"


def new(experiment: str) -> str:
    """The tag of an experiment that has no runs yet."""
    return _told(_state(_SCORES if experiment == "evaluate" else _TRIALS, ()))


def keep_up(client: "MlflowClient", experiment_id: str, searched: Iterable[str]) -> None:
    """Show the hyperparameters that the newest study searched, unless a person has changed the view."""
    known, state = client.get_experiment(experiment_id).tags.get(TAG), _state(_TRIALS, searched)
    found = json.loads(known) if known else {}
    if not known or (found["updatedAt"] == found["createdAt"] and found["state"] != state):
        client.set_experiment_tag(experiment_id, TAG, _told(state))


def _state(metrics: Iterable[str], params: Iterable[str]) -> str:
    columns = [*(f"metrics.`{name}`" for name in metrics), *(f"params.`{name}`" for name in params)]
    return json.dumps({"selectedColumns": columns, "orderByKey": columns[0], "orderByAsc": False})


def _told(state: str) -> str:
    now = int(time.time() * 1000)
    return json.dumps({"name": "Reprotune", "createdAt": now, "updatedAt": now, "state": state})
