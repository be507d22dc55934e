"""A sheet of a dataset's images."""

from pathlib import Path

import numpy as np

from reprotune.artifacts import atomic_write
from reprotune.data.stored import StoredDataset

_ROWS, _COLUMNS = 10, 8  # classes, and samples of each


def write(path: Path, dataset: StoredDataset) -> None:
    """A row a class: the first images of it that the train split has. PNG."""
    from PIL import Image

    images, labels = dataset.arrays("train")
    channels, height, width = dataset.shape
    rows = min(_ROWS, len(dataset.classes))
    sheet = np.zeros((rows * height, _COLUMNS * width, channels), dtype=np.uint8)
    for row in range(rows):
        for column, index in enumerate(np.flatnonzero(labels == row)[:_COLUMNS]):
            y, x = row * height, column * width
            sheet[y : y + height, x : x + width] = images[index].transpose(1, 2, 0)
    with atomic_write(path) as temporary:
        # Not compressed: how well that is done differs between processors, and so do the bytes.
        Image.fromarray(sheet if channels == 3 else sheet[..., 0]).save(temporary, format="PNG", compress_level=0)
