from pathlib import Path

import numpy as np
from PIL import Image

from reprotune.artifacts import file_digest
from reprotune.data.stored import StoredDataset
from reprotune.figures import samples


def test_the_samples_are_of_their_class(dataset: StoredDataset, tmp_path: Path) -> None:
    path = tmp_path / "samples.png"
    samples.write(path, dataset)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (4 * 8, 8 * 8)
    train = dataset.arrays("train")
    of_class_2 = train.images[train.labels == 2]
    assert np.array_equal(sheet[16:24, 24:32], of_class_2[3, 0])
    before = file_digest(path)
    samples.write(path, dataset)
    assert file_digest(path) == before
