"""A real `mlflow server` over HTTP, with SQLite and an artifact store behind it: as good as the local store."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import mlflow
import pytest
from conftest import InlineExecutor, facts, make_params, run
from deployment import Watched, free_ports, kill, mlflow_server

from reprotune.data.stored import StoredDataset
from reprotune.pipeline import run_study
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.tracking import store, trial_run

pytestmark = pytest.mark.cluster


def server(folder: Path, port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return mlflow_server(f"sqlite:///{folder / 'server.db'}", str(folder / "artifacts"), port, folder / "server.log")


@pytest.fixture
def address(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    before = mlflow.get_tracking_uri()
    found = f"http://127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri(found)
    yield found
    mlflow.set_tracking_uri(before)


def conduct(dataset: StoredDataset, events: dict[int, Callable[[], object]]) -> StudySpec:
    params = make_params()
    declared = declaration.from_params(params, "single_objective", dataset)
    run_study.run_study(declared, Watched(InlineExecutor(), events), anew=False)
    return declared


def check(declared: StudySpec, folder: Path) -> None:
    """The server has each trial's curve to its bits, and the artifacts, one run a trial; the local store has none."""
    expected = {trial[0]: list(trial[3]) for trial in facts(run(declared, folder))}
    assert trial_run.curves(declared, list(expected)) == expected
    client, experiment = store.experiment(declared.name)
    found = list(store.search(client, experiment, ""))
    assert len(found) == declared.n_trials + 1
    assert {run.info.status for run in found} <= {"FINISHED", "KILLED"}
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {"trials.csv", "best_config.yaml"}
    assert (folder / "artifacts").exists()
    assert not (folder / "mlruns").exists()


def test_a_study_goes_to_the_server(
    address: str, dataset: StoredDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(tmp_path, int(address.rpartition(":")[2])):
        check(conduct(dataset, {}), tmp_path)
    assert "http" not in capsys.readouterr().out  # MLflow's links, between the lines of progress


def test_a_server_that_is_lost_costs_no_trial_and_is_made_up_for(
    address: str, dataset: StoredDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = int(address.rpartition(":")[2])
    with server(tmp_path, port) as process:
        declared = conduct(dataset, {7: lambda: kill(process)})
    assert "MLflow failed, the study goes on without it" in capsys.readouterr().err
    assert (declared.folder / "trials.csv").read_text().count("\n") == declared.n_trials + 1
    with server(tmp_path, port):
        assert run_study.backfill(declared) == declared.n_trials
        check(declared, tmp_path)
