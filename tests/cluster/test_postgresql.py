"""PostgreSQL behind `mlflow server`, with artifacts over HTTP: as good as the local store, and not trusted."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import copy
from pathlib import Path

import mlflow
import pytest
from clone import Clone
from conftest import InlineExecutor, facts, make_params, run
from deployment import Watched, free_ports, mlflow_server
from mlflow import MlflowClient
from servers import PASSWORD, Postgres, postgres

from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.pipeline import run_study
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.tracking import trial_run

pytestmark = pytest.mark.cluster

TRIALS = 4


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


class Server:
    """One on a port of its own, which can be started again."""

    def __init__(self, database: Postgres, folder: Path) -> None:
        (port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        self._stack = ExitStack()
        self._arguments = (database.address(), str(folder), port, folder / "server.log")

    def start(self) -> None:
        self._stack.enter_context(mlflow_server(*self._arguments))

    def end(self) -> None:
        self._stack.close()

    def restart(self) -> None:
        self.end()
        self.start()


@pytest.fixture(scope="module")
def running(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(database, tmp_path_factory.mktemp("server"))
    found.start()
    yield found
    found.end()


@pytest.fixture
def server(running: Server, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    before = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", running.address)
    mlflow.set_tracking_uri(running.address)
    yield running
    mlflow.set_tracking_uri(before)


def test_two_projects_write_at_once(running: Server, tmp_path: Path) -> None:
    """Each has its own parent run, with all of its trials and its files."""
    (tmp_path / "one").mkdir()
    one = Clone(tmp_path / "one", TRIALS)
    one.run(sys.executable, "-m", "stages.download")
    other = copy(one)
    other.path = Path(shutil.copytree(one.path, tmp_path / "other"))
    command = (sys.executable, "-m", "stages.single_objective")
    stages = [clone.start(*command, variables={"MLFLOW_TRACKING_URI": running.address}) for clone in (one, other)]
    for stage in stages:
        printed = stage.communicate()[0]
        assert stage.returncode == 0, printed
        assert "MLflow failed" not in printed
    client = MlflowClient(running.address)
    experiment = client.get_experiment_by_name("single_objective")
    assert experiment is not None
    runs = list(client.search_runs([experiment.experiment_id]))
    parents = {run.data.tags["project"].partition(":")[2]: run for run in runs if "project" in run.data.tags}
    assert parents.keys() == {str(one.path), str(other.path)}
    for place, parent in parents.items():
        own = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert {run.info.status for run in [parent, *own]} <= {"FINISHED", "KILLED"}
        assert sorted(int(run.data.tags["number"]) for run in own) == list(range(TRIALS))
        fetched = Path(client.download_artifacts(parent.info.run_id, "trials.csv", str(tmp_path)))
        assert fetched.read_bytes() == (Path(place) / "results/single_objective/trials.csv").read_bytes()
    assert one.results() == other.results()
    assert not (one.path / "mlflow.db").exists()


def conduct(dataset: StoredDataset, seed: int, events: dict[int, Callable[[], object]]) -> StudySpec:
    declared = declaration.from_params(make_params(seed=seed), "single_objective", dataset)
    run_study.run_study(declared, Watched(InlineExecutor(), events), anew=False)
    return declared


def check(declared: StudySpec, folder: Path) -> None:
    expected = {trial[0]: list(trial[3]) for trial in facts(run(declared, folder))}
    assert trial_run.curves(declared, list(expected)) == expected


def test_a_database_that_stops_costs_no_trial_and_is_made_up_for(
    server: Server,
    database: Postgres,
    repository: Path,
    dataset: StoredDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its server needs no restart."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    declared = conduct(dataset, 1, {5: database.stop, 9: database.start})
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLflow failed, the study goes on without it" in line
    assert PASSWORD not in line
    assert (declared.folder / "trials.csv").read_text().count("\n") == declared.n_trials + 1
    assert run_study.backfill(declared) == declared.n_trials
    check(declared, repository)


def test_a_server_that_is_started_again_in_the_middle_is_not_missed(
    server: Server, repository: Path, dataset: StoredDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = conduct(dataset, 2, {7: server.restart})
    assert "MLflow failed" not in capsys.readouterr().err
    check(declared, repository)


def test_a_wrong_password_is_refused_in_one_line_that_does_not_say_it(
    database: Postgres, repository: Path, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and no trial is told."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database.address("not-this-one"))
    with pytest.raises(UserError, match="password authentication failed") as refused:
        conduct(dataset, 0, {})
    assert "not-this-one" not in str(refused.value)
    assert "\n" not in str(refused.value)
    (journal,) = repository.glob("studies/*.log")
    assert b'"told"' not in journal.read_bytes()
