"""Artifacts are beside the database, wherever the folder is now."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
from mlflow import MlflowClient

from reprotune.tracking import database
from reprotune.tracking.parent_run import parent_run

FILE = "trials.csv"


@pytest.fixture
def old(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with a run of its own, and all that a person may have added to the store."""
    folder = tmp_path / "old place"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    work_in(folder, monkeypatch)
    log(folder, "first")
    client, (experiment, *_) = MlflowClient(), MlflowClient().search_experiments()
    theirs = client.create_experiment("theirs", str(folder / "mlruns/5"))
    for number, place in enumerate((experiment.experiment_id, theirs)):
        run = client.create_run(place).info
        client.log_artifact(run.run_id, folder / FILE)
        client.create_logged_model(place, source_run_id=run.run_id)
        client.create_registered_model(f"model {number}")
        client.create_model_version(f"model {number}", run.artifact_uri, run.run_id)
        mlflow.start_span_no_context("span", experiment_id=place).end()
    return folder


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def log(folder: Path, identity: str) -> None:
    (folder / FILE).write_text(identity)
    with parent_run("single_objective", identity, {}) as parent:
        parent.log_files([(folder / FILE, None)])


def cells(database: Path) -> Iterator[str]:
    connection = sqlite3.connect(database)
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for row in connection.execute(f"SELECT * FROM {table}"):
            yield from map(str, row)
    connection.close()


def moved(old: Path, new: Path) -> None:
    old.rename(new)


def copied(old: Path, new: Path) -> None:
    shutil.copytree(old, new)


def moved_and_unwritable(old: Path, new: Path) -> None:
    old.rename(new)
    old.write_text("where no folder can be made")


@pytest.mark.parametrize("carry", [moved, copied, moved_and_unwritable])
def test_artifacts_are_where_the_folder_is(
    carry: Callable[[Path, Path], None], old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "new"
    carry(old, new)
    before = sorted(path for path in old.rglob("*") if path.is_file())
    work_in(new, monkeypatch)
    log(new, "second")
    assert sorted(path for path in old.rglob("*") if path.is_file()) == before
    assert not [cell for cell in cells(new / "mlflow.db") if str(old) in cell or old.as_uri() in cell]
    client = MlflowClient(f"sqlite:///{new / 'mlflow.db'}")
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    found = [mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{FILE}") for run in runs]
    assert sorted(found) == ["first", "first", "first", "second"]


@pytest.mark.parametrize("name", ["ques?tion%20", "co:lon", "ha#sh", "a space", "한글", "[a]&b=c;'d\""])
def test_the_project_may_be_in_a_folder_of_any_name(
    name: str, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address gives some characters a meaning: the store was refused, or made in another folder."""
    folder = tmp_path / name
    folder.mkdir()
    if "?" not in name:  # there one is made, which takes 5 s
        shutil.copy(empty_store, folder / "mlflow.db")
    work_in(folder, monkeypatch)
    log(folder, "first")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert list((folder / "mlruns").rglob(FILE))
    found = MlflowClient().get_experiment_by_name("single_objective")
    assert found is not None
    assert len(MlflowClient().search_runs([found.experiment_id])) == 1


def dumped(path: Path) -> list[str]:
    """What a new store holds, but for the experiment that MLflow adds, which has times and a path."""
    with closing(sqlite3.connect(path)) as connection:
        lines = (line for whole in connection.iterdump() for line in whole.splitlines())
        return [line.rstrip() for line in lines if not line.startswith('INSERT INTO "experiments"')]


def test_a_new_store_is_as_mlflow_itself_makes_it(empty_store: Path, tmp_path: Path) -> None:
    """After a change of MLflow's version, empty_store.sql is its first line, with that version, and these lines."""
    MlflowClient(f"sqlite:///{tmp_path / 'own.db'}").search_experiments()
    head, *lines = database._EMPTY.read_text().splitlines()
    assert head.startswith(f"-- What MLflow {mlflow.__version__} makes")
    own = sorted(dumped(tmp_path / "own.db"))  # sets order the indices
    assert own == sorted(dumped(empty_store)) == sorted(lines)


def test_what_is_left_of_a_deleted_store_is_not_in_the_new_one(empty_store: Path, repository: Path) -> None:
    """SQLite keeps what was written last in files beside it, also after a stage has ended."""
    path, left = repository / "mlflow.db", repository / "mlflow.db-wal"
    database.write_ahead(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE old (number)")
        connection.executemany("INSERT INTO old VALUES (?)", [(number,) for number in range(1000)])
        connection.commit()
        kept = left.read_bytes()
    path.unlink()
    left.write_bytes(kept)
    database.prepare(path, ())
    database.write_ahead(path)
    assert sorted(dumped(path)) == sorted(dumped(empty_store))


def test_another_mlflow_makes_its_own_store(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "__version__", "3.99.0")
    monkeypatch.setattr(mlflow, "MlflowClient", lambda address: SimpleNamespace(search_experiments=list))
    with pytest.raises(FileNotFoundError):  # as the client that makes it does nothing here
        database.prepare(repository / "other.db", ())
