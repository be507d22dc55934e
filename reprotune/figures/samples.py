"""Sheets of a dataset's images: samples of each class, and the images that the model takes for another class."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reprotune.artifacts import atomic_write
from reprotune.data.stored import StoredDataset

ROWS = 10  # classes
_COLUMNS = 8  # samples of each
_SIDE = 64  # pixels: of a larger image every second or third is taken, so that a sheet stays small


def write(path: Path, dataset: StoredDataset) -> None:
    """A row a class: the first images of it that the train split has. PNG."""
    images, labels = dataset.arrays("train")
    rows = range(min(ROWS, len(dataset.classes)))
    _write(path, [images[np.flatnonzero(labels == row)[:_COLUMNS]] for row in rows])


def write_mistakes(path: Path, dataset: StoredDataset, numbers: Sequence[int]) -> None:
    """The test images with these numbers, in a row. PNG."""
    _write(path, [test_images(dataset, numbers)])


def test_images(dataset: StoredDataset, numbers: Sequence[int]) -> np.ndarray:
    """(N, channels, height, width), uint8"""
    return dataset.arrays("test").images[list(numbers)]


def _write(path: Path, rows: Sequence[np.ndarray]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(png(rows))


def png(rows: Sequence[np.ndarray]) -> bytes:
    """A sheet of rows of images, (N, channels, height, width) uint8; black where a row is shorter."""
    from PIL import Image

    step = -(-max(rows[0].shape[2:]) // _SIDE)
    small = [row[:, :, ::step, ::step] for row in rows]
    channels, height, width = small[0].shape[1:]
    sheet = np.zeros((len(rows) * height, max(1, *map(len, rows)) * width, channels), dtype=np.uint8)
    for y, row in enumerate(small):
        for x, image in enumerate(row):
            sheet[y * height : (y + 1) * height, x * width : (x + 1) * width] = image.transpose(1, 2, 0)
    file = io.BytesIO()
    # Not compressed: how well that is done differs between processors, and so do the bytes.
    Image.fromarray(sheet if channels == 3 else sheet[..., 0]).save(file, format="PNG", compress_level=0)
    return file.getvalue()
