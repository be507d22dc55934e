"""results/model/ as a model of MLflow's own: `mlflow.pyfunc.load_model("models:/ID")`, in the repository's root.

Its files, and one that names this module: MLflow's `log_model` writes the same, but costs 1.5 s more.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from platform import python_version
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from reprotune.artifacts import digest, file_digest, write_yaml
from reprotune.tracking import store
from reprotune.training import saved_model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

_DATA = "data"  # the folder of its files


def begin(client: "MlflowClient", run: "Run", files: Sequence[Path], config: Mapping[str, Any]) -> "LoggedModel":
    """The run's model of these files: the one that is there, or a new one without them."""
    content = digest([file_digest(file) for file in files])
    condition = f"source_run_id = '{run.info.run_id}' AND tags.{store.MARK} = '{content}'"
    if known := client.search_logged_models([run.info.experiment_id], condition):
        return known[0]
    params, tags = {name: str(value) for name, value in config.items()}, {store.MARK: content}
    return client.create_logged_model(run.info.experiment_id, "model", run.info.run_id, tags, params)


def finish(client: "MlflowClient", run: "Run", made: "LoggedModel", files: Sequence[Path]) -> str:
    """Give it its files, which a kill may have left it without; it is READY when all is done. Returns its id."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    if made.status == LoggedModelStatus.READY:
        return str(made.model_id)
    flavor = {"loader_module": __name__, "data": _DATA, "python_version": python_version()}
    with TemporaryDirectory() as folder:
        (data := Path(folder) / _DATA).mkdir()
        for file in files:
            shutil.copy(file, data)
        write_yaml(Path(folder) / "MLmodel", {"flavors": {"python_function": flavor}, "model_id": made.model_id})
        client.log_model_artifacts(made.model_id, folder)
    outputs = client.get_run(run.info.run_id).outputs
    if not outputs or made.model_id not in {output.model_id for output in outputs.model_outputs}:
        client.log_outputs(run.info.run_id, [LoggedModelOutput(made.model_id, step=0)])
    client.finalize_logged_model(made.model_id, "READY")
    return str(made.model_id)


class Classifier:
    """What MLflow calls to predict."""

    def __init__(self, folder: Path) -> None:
        self._model, self._description = saved_model.read(folder)

    def predict(self, pictures: Any) -> list[dict[str, float]]:
        """Class → probability, of each. pictures: paths, or a table (pandas) with them in its first column."""
        paths = pictures.iloc[:, 0] if hasattr(pictures, "iloc") else pictures
        return [saved_model.classify(self._model, self._description, Path(path)) for path in paths]


def _load_pyfunc(path: str) -> Classifier:
    """What MLflow looks for in a loader module."""
    return Classifier(Path(path))
