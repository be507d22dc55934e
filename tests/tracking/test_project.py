"""Projects that write to one store: each has its own runs, says whose they are, and leaves the others' alone."""

import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from tracked import fail

from reprotune.tracking import project, store
from reprotune.tracking.parent_run import ParentRun, parent_run


@pytest.fixture
def shared(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store that is no project's own, as a server's is none."""
    shutil.copy(empty_store, tmp_path / "server.db")
    address = f"sqlite:///{tmp_path / 'server.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return address


def at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    return folder


def begin(parent: ParentRun, number: int) -> None:
    """A nested run that is being written."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mlflow, "log_params", fail)
        parent.log_config(number, f"config {number}", {}, {})


def found(address: str, experiment: str = "evaluate") -> list[Run]:
    client = MlflowClient(address)
    known = client.get_experiment_by_name(experiment)
    return list(client.search_runs([known.experiment_id])) if known else []


def test_each_has_its_own_runs(shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(tmp_path / "one", monkeypatch)
    with parent_run("evaluate", "same", {}) as one:
        one.log_config(0, "config 0", {}, {})
        begin(one, 1)
        at(tmp_path / "two", monkeypatch)
        with parent_run("evaluate", "same", {}) as two:
            two.log_config(0, "config 0", {}, {})
    assert one.id != two.id
    inside = [run.data.tags.get("mlflow.parentRunId") for run in found(shared)]
    assert sorted(filter(None, inside)) == sorted([one.id, one.id, two.id])
    owners = {run.info.run_id: run.data.tags.get("project", "") for run in found(shared)}
    assert owners[one.id].endswith(f":{tmp_path / 'one'}")
    assert owners[two.id].endswith(f":{tmp_path / 'two'}")


def test_a_run_that_was_interrupted_goes_on(shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(tmp_path / "one", monkeypatch)
    with parent_run("evaluate", "same", {}) as first:
        begin(first, 0)
    (tmp_path / "one").rename(tmp_path / "moved")
    at(tmp_path / "moved", monkeypatch)
    with parent_run("evaluate", "same", {}) as second:
        second.log_config(0, "config 0", {}, {})
    assert first.id == second.id
    assert sorted(run.info.status for run in found(shared)) == ["FINISHED", "FINISHED"]


def test_a_copy_is_another_project_and_a_moved_one_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = at(tmp_path / "one", monkeypatch)
    mark = project.mark()
    assert project.mark() == mark
    shutil.copytree(folder, tmp_path / "copy")
    folder.rename(tmp_path / "moved")
    at(tmp_path / "moved", monkeypatch)
    assert project.mark() == mark
    at(tmp_path / "copy", monkeypatch)
    assert project.mark() not in (mark, "")
    assert project.mark() == project.mark()


def test_a_mark_that_is_torn_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = at(tmp_path / "one", monkeypatch)
    project.mark()
    (folder / ".dvc/tmp/reprotune").write_text("")
    assert len(project.mark()) == 12


def test_a_store_of_its_own_needs_no_mark(repository: Path) -> None:
    with parent_run("evaluate", "same", {}):
        pass
    assert not (repository / ".dvc").exists()
    (run,) = found(f"sqlite:///{repository / 'mlflow.db'}")
    assert "project" not in run.data.tags


def test_experiments_may_have_a_prefix(shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at(tmp_path / "one", monkeypatch)
    monkeypatch.setenv("REPROTUNE_EXPERIMENT_PREFIX", "team/digits/")
    with parent_run("evaluate", "same", {}) as parent:
        parent.log_config(0, "config 0", {}, {})
    assert found(shared) == []
    assert len(found(shared, "team/digits/evaluate")) == 2


@pytest.mark.parametrize("given", ["", "sqlite:///mlflow.db"])
def test_a_relative_file_is_in_the_repository(given: str, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the copy in which `dvc exp run --temp` works."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    (repository / "copy").mkdir()
    monkeypatch.chdir(repository / "copy")
    with store.usable():
        assert store.prepared() == f"sqlite:///{repository / 'mlflow.db'}"
