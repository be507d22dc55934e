"""What MLflow is told about itself."""

import re

import mlflow.environment_variables
import pytest

from reprotune.errors import UserError
from reprotune.tracking import store
from reprotune.tracking.parent_run import parent_run


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
