"""MLflow's store: in MLFLOW_TRACKING_URI, or in MLflow's default places in the repository."""

import logging
import os
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune.errors import UserError, one_line
from reprotune.tracking import database, project, view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Point = tuple[str, float, int, int]  # metric, value, step, milliseconds since 1970
NOTE = "mlflow.note.content"  # what MLflow shows as a description, in Markdown
MARK = "reprotune"  # the tag of our runs. A parent's: its key. A nested one's: its number
_LAST = {"epochs_trained", "test_accuracy_mean"}  # the metrics with which a nested run is whole
READING = "A nested run is a trial: FINISHED if it is complete, KILLED if it was pruned, FAILED if it failed."
EXPERIMENTS = {
    "single_objective": f"Studies that maximise validation accuracy: one run per study. {READING}",
    "multi_objective": f"Studies that also minimise a cost: one run per study. {READING}",
    "evaluate": "The best configs, trained again on train + valid and scored on test: a nested run per config.",
}
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it reports its use to its makers
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines a trial, amid the progress
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # 20 s without a server, not 250
}
_SOUGHT = ("IPython", "dbruntime", "pyspark")  # by MLflow, 22 times a trial, on the whole path where there is none
MISTAKEN = (ImportError, ValueError)  # of an address whose driver is missing, or that is none
_BATCH, _PARAMS = 1000, 100  # what MLflow takes at once, and how many params among it


class Unusable(UserError):
    """The store cannot be used, or not any more."""


def settle() -> None:
    """Set up MLflow before it is imported, here and in the processes that this one starts."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    for noisy in ("mlflow", "alembic"):  # each migration of a new database
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for name in _SOUGHT:
        if name not in sys.modules and not find_spec(name):
            sys.modules[name] = None  # type: ignore[assignment]  # so Python is told that there is none


def load() -> None:
    """Import MLflow and open the store, for some seconds: to be called where something else is waited for."""
    settle()
    from mlflow import MlflowClient

    with usable(*MISTAKEN):
        MlflowClient(prepared())


@contextmanager
def usable(*also: type[Exception]) -> Iterator[None]:
    """A store that fails is told in one line: before a trial was told, or where all that is done is to write to it."""
    settle()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, *also) as error:
        raise Unusable(f"MLflow's store at {one_line(_address())} cannot be used: {one_line(error)}") from None


def _address() -> str:
    """Of the store; MLflow itself sets the variable too, to what it is told in `experiment`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or database.address(_own())


def _own() -> Path:
    return project.root() / "mlflow.db"


def _file() -> Path | None:
    """The SQLite file that the address names. A relative one is in the repository, as MLflow's default is."""
    if _address() == database.address(_own()):
        return _own()
    path = re.fullmatch("sqlite:///([^?:]+)", _address())
    return project.root() / path[1] if path else None


def shared() -> bool:
    """Whether other projects may write to it too."""
    return _file() != _own()


def prepared() -> str:
    """The store's address. If it is a file, it is there, and leads to the artifacts beside it."""
    file = _file()
    if file is None:
        _ask_once()
        return _address()
    with usable(OSError, UnicodeError):
        str(file).encode()  # MLflow writes it into the database, which a locale that cannot name the folder prevents
        database.prepare(file, EXPERIMENTS)
        if not shared():
            database.write_ahead(file)
    return database.address(file)


def _ask_once() -> None:
    """MLflow itself asks a database that refuses it ten times over, for 100 s."""
    with usable(*MISTAKEN):
        from mlflow.store.db.db_types import DATABASE_ENGINES
        from sqlalchemy import NullPool, create_engine

        if _address().partition(":")[0].partition("+")[0] in DATABASE_ENGINES:
            create_engine(_address(), poolclass=NullPool).connect().close()


def experiment(name: str) -> "tuple[MlflowClient, str]":
    """(client, id of the experiment). Those who share a server may set REPROTUNE_EXPERIMENT_PREFIX."""
    import mlflow

    mlflow.set_tracking_uri(prepared())
    client, title = mlflow.MlflowClient(), _title(name)
    found = client.get_experiment_by_name(title)
    if not found:
        try:
            return client, _made(client, name, title)
        except mlflow.MlflowException:
            found = client.get_experiment_by_name(title)  # another project may have made it meanwhile
            if not found:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return client, found.experiment_id


def _made(client: "MlflowClient", name: str, title: str) -> str:
    file = _file()
    location = database.artifacts(file) / name if file else None
    tags = {NOTE: EXPERIMENTS.get(name, ""), view.TAG: view.new(name)}
    return str(client.create_experiment(title, location and location.as_uri(), tags))


def _title(name: str) -> str:
    return os.environ.get("REPROTUNE_EXPERIMENT_PREFIX", "") + name


def links() -> dict[str, str]:
    """Experiment → where MLflow's page shows it, from the server's address on; of those that there are."""
    import mlflow

    client = mlflow.MlflowClient(prepared())
    found = {name: client.get_experiment_by_name(_title(name)) for name in EXPERIMENTS}
    return {name: view.link(it.experiment_id, it.tags) for name, it in found.items() if it}


def search(client: "MlflowClient", experiment_id: str, condition: str) -> "Iterator[Run]":
    """All runs that meet the condition, the oldest first."""
    token = None
    while True:
        page = client.search_runs([experiment_id], condition, order_by=["attributes.start_time"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def key(identity: str) -> str:
    """Names a parent run: of the study, of the DVC experiment (`dvc exp run`), and on a server of the project."""
    experiment = os.environ.get("DVC_EXP_NAME", "").replace("'", "%27")  # which would end a filter's word
    parts = identity[:12], experiment, project.mark() if shared() else None
    return " ".join(filter(None, parts))


def find(client: "MlflowClient", experiment_id: str, identity: str) -> "Run | None":
    """The parent run of this identity."""
    return next(search(client, experiment_id, f"tags.{MARK} = '{key(identity)}'"), None)


def nested(client: "MlflowClient", experiment_id: str, parent: str) -> "Iterator[Run]":
    """The runs in a parent run that are ours; a person may have added others."""
    return search(client, experiment_id, f"tags.`mlflow.parentRunId` = '{parent}' AND tags.{MARK} != ''")


def number(run: "Run") -> int | None:
    """Of one of our nested runs; None if it was left half-written."""
    return int(run.data.tags[MARK]) if _LAST & run.data.metrics.keys() else None


def log(client: "MlflowClient", run_id: str, points: Sequence[Point], params: Mapping[str, Any] | None = None) -> None:
    """The params, then the metrics in their order."""
    from mlflow.entities import Metric, Param

    found = [Param(name, str(value)) for name, value in (params or {}).items()]
    metrics = [Metric(name, value, timestamp, step) for name, value, step, timestamp in points]
    while found or metrics:
        count = 0 if len(found) > _PARAMS else _BATCH - len(found)
        client.log_batch(run_id, metrics[:count], found[:_PARAMS])
        found, metrics = found[_PARAMS:], metrics[count:]
