"""Disks, clocks, stores and journals that fail: one line, nothing half-written, and the next run goes on."""

import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import mlflow
import pytest
from conftest import InlineExecutor, make_params, unsynced
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tracked import runs

from reprotune.artifacts import file_digest
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.pipeline import run_study
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.tracking import store


@pytest.fixture(scope="module", autouse=True)
def _synced() -> Iterator[None]:
    """SQLite that does not wait for a disk takes minutes to see that one is full."""
    event.remove(Engine, "connect", unsynced)
    yield
    event.listen(Engine, "connect", unsynced)


def study(dataset: StoredDataset) -> StudySpec:
    return declaration.from_params(make_params(single_objective__n_trials=6), "single_objective", dataset)


def conduct(dataset: StoredDataset) -> StudySpec:
    declared = study(dataset)
    run_study.run_study(declared, InlineExecutor(), anew=False)
    return declared


def results() -> dict[str, str]:
    return {str(path): file_digest(path) for path in sorted(Path("results").rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(
    dataset: StoredDataset, empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, str]]:
    """(a folder in which the study was run, the digests of its results)."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        shutil.copy(empty_store, folder / "mlflow.db")
        conduct(dataset)
        return folder, results()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A write beyond `size` bytes of a file fails in the middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 100, 1_000, 4_000, 10_000, 20_000, 40_000, 100_000, 1_000_000])
def test_a_full_disk(
    size: int, repository: Path, dataset: StoredDataset, undisturbed: tuple[Path, dict[str, str]]
) -> None:
    """Whichever file the disk is too small for: the dataset's lock, the journal, the store, a result, a figure."""
    with files_of_at_most(size):
        try:
            conduct(dataset)
            refusal = ""
        except (OSError, UserError) as error:
            refusal = str(error)
    assert "\n" not in refusal
    assert [path for path in repository.rglob("*.tmp") if path.is_file()] == []
    assert all(undisturbed[1][path] == digest for path, digest in results().items())
    if not refusal:
        assert results() == undisturbed[1]
    declared = conduct(dataset)
    assert results() == undisturbed[1]
    parents, nested = runs(repository, declared.name)
    assert len(parents) == 1
    assert len(nested) == declared.n_trials
    assert "RUNNING" not in {run.info.status for run in (*parents, *nested.values())}


@pytest.mark.parametrize("place", ["studies", "results", "mlruns", "mlflow.db"])
def test_something_else_is_where_it_writes(
    place: str, repository: Path, dataset: StoredDataset, undisturbed: tuple[Path, dict[str, str]]
) -> None:
    (repository / "mlflow.db").rename(repository / "store")
    if place == "mlflow.db":
        (repository / place).mkdir()
    else:
        (repository / place).touch()
    with pytest.raises((OSError, UserError), match=place) as refused:
        conduct(dataset)
    assert "\n" not in str(refused.value)
    (repository / place).rmdir() if place == "mlflow.db" else (repository / place).unlink()
    for left in repository.glob("mlflow.db-*"):  # of the store that was made meanwhile
        left.unlink()
    (repository / "store").rename(repository / "mlflow.db")
    conduct(dataset)
    assert results() == undisturbed[1]


def line(number: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def damaged(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        lines[number] = change(lines[number])
        return b"".join(lines)

    return damaged


RECOVERED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "torn": lambda content: content[:-7],
    "torn by a power failure": lambda content: content[:-7] + bytes(4096),
    "truncated": lambda content: b"".join(content.splitlines(keepends=True)[:9]),
    "truncated in a line": lambda content: content[: len(content) // 2],
}
REFUSED: dict[str, Callable[[bytes], bytes]] = {
    "a broken line": line(7, lambda text: text[:-20] + b"\n"),
    "a broken last line": line(-1, lambda text: text[:-20] + b"\n"),
    "not text": line(5, lambda _: b"\xff\xfe\n"),
    "a lost line": line(3, lambda _: b""),
    "a lost first line": line(0, lambda _: b""),
    "another version": line(4, lambda text: text.replace(b'"op_code":', b'"operation":')),
    "an unknown operation": line(4, lambda text: text.replace(b'"op_code":', b'"op_code":9')),
    "another result": lambda content: content.replace(b'"curve":', b'"points":'),
    "no number": lambda content: content.replace(b'"number":', b'"index":'),
    "another study": line(0, lambda text: text.replace(b"single_objective-", b"multi_objective-")),
}


@pytest.mark.parametrize("damage", RECOVERED)
def test_a_journal_that_is_recovered(
    damage: str, repository: Path, dataset: StoredDataset, undisturbed: tuple[Path, dict[str, str]]
) -> None:
    shutil.copytree(undisturbed[0], repository, dirs_exist_ok=True)
    declared = study(dataset)
    declared.journal.write_bytes(RECOVERED[damage](declared.journal.read_bytes()))
    shutil.rmtree("results")
    conduct(dataset)
    assert results() == undisturbed[1]
    assert len(runs(repository, declared.name)[1]) == declared.n_trials


@pytest.mark.usefixtures("untracked")
@pytest.mark.parametrize("damage", REFUSED)
def test_a_journal_that_is_refused(
    damage: str, repository: Path, dataset: StoredDataset, undisturbed: tuple[Path, dict[str, str]]
) -> None:
    shutil.copytree(undisturbed[0], repository, dirs_exist_ok=True)
    declared = study(dataset)
    damaged = REFUSED[damage](declared.journal.read_bytes())
    declared.journal.write_bytes(damaged)
    with pytest.raises(UserError, match=r"studies/single_objective-.*\.log: is damaged, .*move it away") as refused:
        conduct(dataset)
    assert "\n" not in str(refused.value)
    assert declared.journal.read_bytes().startswith(damaged)
    declared.journal.rename("studies/aside")
    conduct(dataset)
    assert results() == undisturbed[1]


def older(database: sqlite3.Connection) -> None:
    database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    database.commit()


def locked(database: sqlite3.Connection) -> None:
    database.execute("BEGIN EXCLUSIVE")


@pytest.mark.parametrize(("prepare", "why"), [(older, "schema"), (locked, "locked")])
def test_a_store_that_cannot_be_used_is_refused_before_a_trial_is_told(
    prepare: Callable[[sqlite3.Connection], None],
    why: str,
    repository: Path,
    dataset: StoredDataset,
    undisturbed: tuple[Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = sqlite3.connect(repository / "mlflow.db")
    prepare(database)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0.1))  # a lock is waited for 5 s
    with pytest.raises(UserError, match=rf"MLflow's store at .*mlflow.db cannot be used: .*{why}") as refused:
        conduct(dataset)
    assert "\n" not in str(refused.value)
    assert results() == {}
    database.rollback()
    if why == "locked":
        database.close()
        conduct(dataset)
        assert results() == undisturbed[1]


def test_a_server_that_is_not_there_is_refused_before_a_trial_is_told(
    repository: Path, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    mlflow.set_tracking_uri("http://127.0.0.1:9")  # over what another test in this process may have set
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"MLflow's store at http://127.0.0.1:9 cannot be used") as refused:
        conduct(dataset)
    assert "\n" not in str(refused.value)
    assert results() == {}


def test_a_refusal_shows_no_password(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:secret@127.0.0.1:9")
    mlflow.set_tracking_uri("http://somebody:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=r"^MLflow's store at http://127.0.0.1:9 cannot be used") as refused:
        with store.usable():
            store.experiment("any")
    assert "secret" not in str(refused.value)


def test_a_clock_that_goes_backwards(
    repository: Path,
    dataset: StoredDataset,
    undisturbed: tuple[Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import optuna.storages.journal._storage as optuna_journal

    class Backwards(datetime):
        hours = 0

        @classmethod
        def now(cls, tz: object = None) -> "Backwards":
            cls.hours += 1
            return cls(2026, 1, 1, tzinfo=UTC) - timedelta(hours=cls.hours)

    monkeypatch.setattr(optuna_journal, "datetime", Backwards)
    declared = conduct(dataset)
    assert Backwards.hours >= 2 * declared.n_trials
    assert results() == undisturbed[1]
    conduct(dataset)
    parents, nested = runs(repository, declared.name)
    assert len(parents) == 1
    assert len(nested) == declared.n_trials
