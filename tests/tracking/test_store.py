"""What MLflow is told about itself."""

import re
from pathlib import Path

import mlflow
import mlflow.environment_variables
import pytest

from reprotune.errors import UserError
from reprotune.tracking import store, view
from reprotune.tracking.parent_run import parent_run
from stages import ui


@pytest.mark.parametrize("name", store.SETTINGS)
def test_mlflow_knows_its_settings_and_a_users_own_stay(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = getattr(mlflow.environment_variables, name)
    monkeypatch.delenv(name, raising=False)
    usual = variable.get()
    store.settle()
    assert variable.get() != usual
    monkeypatch.setenv(name, str(usual))
    store.settle()
    assert variable.get() == usual


@pytest.mark.parametrize(
    "address", ["nonsense://x", "http://[x", "http://a..b", "mssql+x://h/d", "sqlite:////proc/no/x.db"]
)
def test_an_address_that_is_none_is_refused_in_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=f"^MLflow's store at {re.escape(address)} cannot be used: ") as refused:
        with parent_run("evaluate", "any", {}):
            pass
    assert "\n" not in str(refused.value)


def test_links_open_the_training_side_with_our_view(repository: Path) -> None:
    with store.usable():
        assert store.links() == {}
    with parent_run("evaluate", "any", {}):
        pass
    experiment = mlflow.MlflowClient().get_experiment_by_name("evaluate")
    assert experiment is not None
    shown = "runs?workflowType=machine_learning&viewStateShareKey=reprotune"
    assert store.links() == {"evaluate": f"/#/experiments/{experiment.experiment_id}/{shown}"}
    mlflow.MlflowClient().delete_experiment_tag(experiment.experiment_id, view.TAG)
    assert store.links()["evaluate"].endswith("workflowType=machine_learning")  # MLflow has no such view


@pytest.mark.parametrize(
    ("options", "server"),
    [
        ([], "http://127.0.0.1:5000"),
        (["--port", "5055", "--workers", "1"], "http://127.0.0.1:5055"),
        (["-p", "1", "-h", "box"], "http://box:1"),
    ],
)
def test_links_lead_to_where_the_page_will_be(options: list[str], server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ui", *options])
    assert ui._server() == server
