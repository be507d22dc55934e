"""What images are to the rest: arrays, tensors, and what a model must know of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

SplitName = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")
Shape = tuple[int, int, int]  # channels, height, width
_AT_ONCE = 2**20  # bytes


class Arrays(NamedTuple):
    images: np.ndarray  # uint8, (N, channels, height, width)
    labels: np.ndarray  # int64, (N,)


class Part(NamedTuple):
    """Rows of arrays that need not fit into memory: copied a few at a time, when they are written."""

    arrays: Arrays
    rows: np.ndarray  # int64

    @property
    def labels(self) -> np.ndarray:
        labels: np.ndarray = self.arrays.labels[self.rows]
        return labels

    def take(self, index: np.ndarray) -> "Part":
        return Part(self.arrays, self.rows[index])


def whole(arrays: Arrays) -> Part:
    return Part(arrays, np.arange(len(arrays.labels)))


def slices(array: np.ndarray) -> Iterator[slice]:
    """So many rows at a time as take about a megabyte."""
    step = max(1, _AT_ONCE * len(array) // max(1, array.nbytes))
    return (slice(start, start + step) for start in range(0, len(array), step))


class Split(NamedTuple):
    images: "Tensor"  # uint8, (N, channels, height, width)
    labels: "Tensor"  # int64, (N,)


class Inputs(NamedTuple):
    """What a model must know of a dataset."""

    shape: Shape
    classes: int  # how many
    mean: tuple[float, ...]  # of train's pixels, 0 … 1, per channel
    std: tuple[float, ...]
