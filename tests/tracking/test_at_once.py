"""Two projects that begin at once on one store."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from reprotune.tracking import store


def test_an_experiment_that_another_project_has_just_made_is_taken(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = store.experiment("single_objective")
    look, looked = MlflowClient.get_experiment_by_name, list[str]()

    def too_early(client: MlflowClient, name: str) -> object:
        looked.append(name)
        return look(client, name) if len(looked) > 1 else None

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", too_early)
    assert store.experiment("single_objective")[1] == made


def test_one_that_cannot_be_made_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise MlflowException("as told")

    monkeypatch.setattr(MlflowClient, "create_experiment", refused)
    with pytest.raises(MlflowException, match="as told"):
        store.experiment("single_objective")
