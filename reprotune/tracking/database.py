"""MLflow's store in an SQLite file: made whole or not at all, and the artifacts beside it, wherever it is now."""

import os
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from urllib.request import url2pathname

from reprotune.artifacts import locked

_PATIENCE = 600  # seconds, in which a large store is made or mended on a slow disk
ARTIFACTS = "mlruns"  # as MLflow itself names it
_EMPTY = Path(__file__).with_name("empty_store.sql")  # in a hundredth of the time that its migrations take
# Where MLflow keeps absolute paths: of experiments, runs and models, of a registered model's version, of traces.
_LOCATIONS = """
    SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
    WHERE columns.name IN ('artifact_location', 'artifact_uri', 'storage_location')
    OR tables.name = 'model_versions' AND columns.name = 'source'
    OR tables.name = 'trace_tags' AND columns.name = 'value'
"""


def address(database: Path) -> str:
    """As MLflow is to be told. In it `?` begins a query and `%20` is a space: such a folder's name is left out."""
    path = str(database)
    return f"sqlite:///{os.path.relpath(path) if {'?', '%'} & set(path) else path}"


def artifacts(database: Path) -> Path:
    """The folder beside it."""
    return database.parent / ARTIFACTS


def prepare(database: Path, experiments: Collection[str]) -> None:
    """Make it if it is missing, and lead to the artifacts where they are now. `experiments`: names of the project's."""
    folder = artifacts(database)
    folder.mkdir(exist_ok=True)
    # Two processes that open a new store break each other's migration.
    with locked(folder / ".lock", "another process opens MLflow's store", _PATIENCE):
        if not database.exists():
            _make(database)
        with closing(sqlite3.connect(database)) as connection, connection:
            _mend(connection, folder, experiments)


def write_ahead(database: Path) -> None:
    """Let `mlflow ui` read while a study writes; the file remembers it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _make(database: Path) -> None:
    """A kill amid MLflow's migrations leaves a database that never opens again: so it is made aside, then renamed."""
    import mlflow

    with TemporaryDirectory(dir=artifacts(database), prefix=".new-") as folder:
        made = Path(folder) / database.name
        if _EMPTY.read_text(encoding="utf-8").startswith(f"-- What MLflow {mlflow.__version__} makes "):
            with closing(sqlite3.connect(made)) as connection:
                connection.executescript(_EMPTY.read_text(encoding="utf-8"))
        mlflow.MlflowClient(address(made)).search_experiments()
        for left in ("-journal", "-shm", "-wal"):  # SQLite would write what these hold of a deleted one into the new
            database.with_name(database.name + left).unlink(missing_ok=True)
        made.replace(database)


def _mend(connection: sqlite3.Connection, here: Path, experiments: Collection[str]) -> None:
    """In a folder that was moved or copied, MLflow's paths lead to the old place, maybe into another project's files.

    A person's own runs in that folder went along, so their paths are mended too.
    """
    locations = list(connection.execute(_LOCATIONS))
    if ("experiments", "artifact_location") not in locations:
        return  # no store of MLflow's, which will say so
    known = connection.execute("SELECT artifact_location FROM experiments")
    for old in {_folder(str(location), experiments) for (location,) in known} - {None, here}:
        assert old is not None
        for before, after in ((f"{old}/", f"{here}/"), (f"{old.as_uri()}/", f"{here.as_uri()}/")):
            for table, column in locations:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                    (after, len(before) + 1, len(before), before),
                )


def _folder(location: str, experiments: Collection[str]) -> Path | None:
    """The folder of artifacts that an experiment of the project's is in."""
    parts = urlsplit(location)
    path = Path(url2pathname(parts.path))
    is_ours = parts.scheme == "file" and path.name in experiments and path.parent.name == ARTIFACTS
    return path.parent if is_ours else None
