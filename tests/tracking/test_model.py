"""The model that MLflow keeps is the one in results/model/, and predicts as that does."""

from pathlib import Path

import mlflow
import pandas as pd  # type: ignore[import-untyped]
import pytest
from conftest import CONFIG
from PIL import Image
from tracked import fail

from reprotune.artifacts import read_json, write_json
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.tracking.parent_run import parent_run
from reprotune.training import saved_model
from reprotune.training.fit import new_model

pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")  # mlflow.pyfunc, when it is imported
FILES = {"data/model.json", "data/weights.safetensors", "MLmodel"}  # no pickle


@pytest.fixture
def files(dataset: StoredDataset, repository: Path) -> list[Path]:
    """Those of a model in results/model/."""
    (repository / "weights").write_bytes(saved_model.weights(new_model(CONFIG, dataset.inputs, 0), 0.5))
    saved_model.write(repository / "weights", CONFIG, dataset)
    return sorted(saved_model.FOLDER.iterdir())


def test_it_predicts_as_the_saved_one(files: list[Path], dataset: StoredDataset) -> None:
    with parent_run("evaluate", "same", {}) as parent:
        model_id = parent.log_model(files, CONFIG)
    paths = [Path(f"{number}.png") for number in range(3)]
    for path, image in zip(paths, dataset.load("test").images, strict=False):
        Image.fromarray(image[0].numpy()).save(path)
    expected = [saved_model.classify(*saved_model.read(), path) for path in paths]
    for address in (f"models:/{model_id}", f"runs:/{parent.id}/model"):
        loaded = mlflow.pyfunc.load_model(address)
        assert loaded.predict([str(path) for path in paths]) == expected
        assert loaded.predict(pd.DataFrame({"picture": map(str, paths)})) == expected
    logged = mlflow.get_logged_model(model_id)
    assert logged.params == {name: str(value) for name, value in CONFIG.items()}
    kept = Path(logged.artifact_location.removeprefix("file://"))
    found = {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()}
    assert found - {"registered_model_meta"} == FILES  # MLflow writes that one when it loads


def test_it_is_logged_once(files: list[Path]) -> None:
    found = []
    for _ in range(2):
        with parent_run("evaluate", "same", {}) as parent:
            found.append(parent.log_model(files, CONFIG))
    assert found[0] == found[1] != ""
    assert len(mlflow.search_logged_models(output_format="list", experiment_ids=[_experiment()])) == 1


@pytest.mark.parametrize("at", ["log_model_artifacts", "log_outputs", "finalize_logged_model"])
def test_one_that_a_kill_left_without_its_files_is_completed(files: list[Path], at: str) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mlflow.MlflowClient, at, fail)
        with parent_run("evaluate", "same", {}) as parent:
            parent.log_model(files, CONFIG)
    with parent_run("evaluate", "same", {}) as parent:
        model_id = parent.log_model(files, CONFIG)
    assert mlflow.get_logged_model(model_id).status == "READY"
    kept = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}"))
    assert {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()} >= FILES
    outputs = mlflow.get_run(parent.id).outputs
    assert outputs is not None
    assert [output.model_id for output in outputs.model_outputs] == [model_id]
    assert len(mlflow.search_logged_models(output_format="list", experiment_ids=[_experiment()])) == 1


def test_it_is_logged_again_when_it_has_changed(files: list[Path]) -> None:
    """A class was renamed, which changes no score, and so not which evaluation it is."""
    found, names, about = [], [str(number) for number in range(10)], read_json(files[0])
    for classes in (names, ["nought", *names[1:]]):
        write_json(files[0], {**about, "classes": classes})
        with parent_run("evaluate", "same", {}) as parent:
            found.append(parent.log_model(files, CONFIG))
    addresses = (f"models:/{found[0]}", f"models:/{found[1]}", f"runs:/{parent.id}/model")
    kept = [Path(mlflow.artifacts.download_artifacts(address)) / "data/model.json" for address in addresses]
    assert [read_json(path)["classes"][0] for path in kept] == ["0", "nought", "nought"]


def test_a_server_without_models_keeps_the_files(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    refused = mlflow.exceptions.MlflowException("not found")
    monkeypatch.setattr(mlflow.MlflowClient, "create_logged_model", lambda *_, **__: (_ for _ in ()).throw(refused))
    with parent_run("evaluate", "same", {}) as parent:
        assert parent.log_model(files, CONFIG) == ""
    kept = mlflow.MlflowClient().list_artifacts(parent.id, "model")
    assert [file.path for file in kept] == ["model/model.json", "model/weights.safetensors"]


def test_a_server_with_models_that_fails_is_not_taken_for_one_without(files: list[Path]) -> None:
    refused = mlflow.exceptions.MlflowException("no space left")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="no space left"):
        patch.setattr(mlflow.MlflowClient, "log_model_artifacts", lambda *_: (_ for _ in ()).throw(refused))
        with parent_run("evaluate", "same", {}) as parent:
            parent.log_model(files, CONFIG)


def _experiment() -> str:
    found = mlflow.get_experiment_by_name("evaluate")
    assert found is not None
    return str(found.experiment_id)
