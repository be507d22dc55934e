import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from reprotune import overview
from reprotune.artifacts import file_digest, read_csv
from reprotune.datasets import StoredDataset


@pytest.fixture
def stored(dataset: StoredDataset, tmp_path: Path) -> StoredDataset:
    """A copy of the tests' dataset, to write beside."""
    return StoredDataset(Path(shutil.copytree(dataset.folder, tmp_path / "copy")))


def test_the_class_balance(stored: StoredDataset) -> None:
    overview.write(stored)
    rows = read_csv(stored.folder / "class_balance.csv")
    assert rows == [{"class": name, "train": "60", "valid": "20", "test": "20"} for name in "abcd"]


def test_the_samples_are_of_their_class(stored: StoredDataset) -> None:
    overview.write(stored)
    sheet = np.asarray(Image.open(stored.folder / "samples.png"))
    assert sheet.shape == (4 * 8, 8 * 8)
    train = stored.load("train")
    of_class_2 = train.images[train.labels == 2].numpy()
    assert np.array_equal(sheet[16:24, 24:32], of_class_2[3, 0])
    before = file_digest(stored.folder / "samples.png")
    overview.write(stored)
    assert file_digest(stored.folder / "samples.png") == before


def test_one_run_for_each_digest(stored: StoredDataset, repository: Path) -> None:
    overview.write(stored)
    overview.track(stored)
    overview.track(stored)
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("download")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["digest"] == stored.digest
    assert run.data.params["train"] == "240"
    assert {artifact.path for artifact in client.list_artifacts(run.info.run_id)} == set(overview.FILES)
    stored.digest = "f" * 64
    overview.track(stored)
    assert len(client.search_runs([experiment.experiment_id])) == 2
