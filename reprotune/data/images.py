"""What images are to the rest: arrays, tensors, and what a model must know of them."""

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

SplitName = Literal["train", "valid", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")
Shape = tuple[int, int, int]  # channels, height, width


class Arrays(NamedTuple):
    images: np.ndarray  # uint8, (N, channels, height, width)
    labels: np.ndarray  # int64, (N,)

    def take(self, index: np.ndarray) -> "Arrays":
        return Arrays(self.images[index], self.labels[index])


class Split(NamedTuple):
    images: "Tensor"  # uint8, (N, channels, height, width)
    labels: "Tensor"  # int64, (N,)


class Inputs(NamedTuple):
    """What a model must know of a dataset."""

    shape: Shape
    classes: int  # how many
    mean: tuple[float, ...]  # of train's pixels, 0 … 1, per channel
    std: tuple[float, ...]
