"""MLflow's store: in MLFLOW_TRACKING_URI, or in MLflow's default places in the repository."""

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from filelock import FileLock

from reprotune.errors import UserError, one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Point = tuple[str, float, int, int]  # metric, value, step, milliseconds since 1970
_BATCH = 1000  # metrics that MLflow takes at once


@contextmanager
def usable() -> Iterator[None]:
    """A store that cannot be used from the start is refused: no trial was told yet."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for noisy in ("mlflow", "alembic"):  # each migration of a new database
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 20 s without a server, not MLflow's 250
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, UnicodeError) as error:
        where = one_line(mlflow.get_tracking_uri())
        raise UserError(f"MLflow's store at {where} cannot be used: {one_line(error)}") from None


def experiment(name: str) -> "tuple[MlflowClient, str]":
    """(client, id of the experiment), in MLFLOW_TRACKING_URI or in MLflow's default places in the repository."""
    import mlflow

    location = None
    root = Path(os.environ.get("DVC_ROOT", ".")).resolve()
    local = f"sqlite:///{root / 'mlflow.db'}"
    if os.environ.get("MLFLOW_TRACKING_URI", local) == local:  # MLflow sets it too, to what it is told here
        location = (root / "mlruns" / name).as_uri()
        mlflow.set_tracking_uri(local)
        (root / "mlruns").mkdir(exist_ok=True)
        with FileLock(root / "mlruns" / ".lock"):  # two processes that open a new store break each other's migration
            if not (root / "mlflow.db").exists():
                _make_store(root / "mlflow.db")
            _write_ahead(root / "mlflow.db")
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return client, found.experiment_id if found else client.create_experiment(name, location)


def _make_store(database: Path) -> None:
    """A kill amid MLflow's migrations leaves a database that never opens again: so it is made aside, then renamed."""
    import mlflow

    with TemporaryDirectory(dir=database.parent / "mlruns", prefix=".new-") as folder:
        made = Path(folder) / database.name
        mlflow.MlflowClient(f"sqlite:///{made}").search_experiments()
        made.replace(database)


def _write_ahead(database: Path) -> None:
    """Let `mlflow ui` read while a study writes; the file remembers it."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


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
    """Names a parent run. A DVC experiment (`dvc exp run`) has one of its own, in the store of its repository."""
    return f"{identity[:12]} {os.environ.get('DVC_EXP_NAME', '')}".strip()


def find(client: "MlflowClient", experiment_id: str, identity: str) -> "Run | None":
    """The parent run of this identity."""
    return next(search(client, experiment_id, f"tags.key = '{key(identity)}'"), None)


def log_points(client: "MlflowClient", run_id: str, points: Sequence[Point]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(name, value, timestamp, step) for name, value, step, timestamp in points]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
