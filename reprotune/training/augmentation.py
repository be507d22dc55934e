"""AUGMENTATIONS: how a batch of training images is varied, each image by random numbers of its own.

They work on uint8 (N, channels, height, width), a quarter of the memory traffic of float32, on the whole batch
at once. What is drawn comes from torch's seeded generator. One whose hyperparameter is 0 or false is not called.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from annotated_types import Ge

if TYPE_CHECKING:
    from torch import Tensor


class Augmentation(NamedTuple):
    """A function of (images, the value of its hyperparameter), and the type of a legal value."""

    apply: "Callable[[Tensor, Any], Tensor]"
    legal: Any


def shift(images: "Tensor", most: int) -> "Tensor":
    """Move each image by up to `most` pixels along both axes; what comes into the picture is black."""
    import torch
    from torch.nn import functional as F

    n, channels, height, width = images.shape
    padded = F.pad(images, (most, most, most, most))
    image, channel, row, _ = padded.stride()
    down, right = torch.randint(2 * most + 1, (2, n), device=images.device)
    begins = torch.arange(n, device=images.device) * image + down * row + right
    # All windows of an image's size into the padded batch, by where they begin: a view, of which n are copied.
    count = (n - 1) * image + 2 * most * (row + 1) + 1
    windows = padded.as_strided((count, channels, height, width), (1, channel, row, 1))
    return windows.index_select(0, begins)


def flip(images: "Tensor", _: bool) -> "Tensor":
    """Mirror each image left to right with probability 1/2."""
    import torch

    n = len(images)
    mirrored = torch.randint(2, (n,), device=images.device)
    both = torch.cat([images, images.flip(3)])
    return both.index_select(0, torch.arange(n, device=images.device) + n * mirrored)


def cutout(images: "Tensor", size: int) -> "Tensor":
    """Blacken a square, `size` pixels a side, around a random pixel of each image (DeVries and Taylor, 2017)."""
    import torch

    n, _, height, width = images.shape

    def outside(length: int) -> "Tensor":  # (N, length)
        first = torch.randint(length, (n, 1), device=images.device) - size // 2
        offset = torch.arange(length, device=images.device) - first
        return (offset < 0) | (offset >= size)

    kept = outside(height)[:, :, None] | outside(width)[:, None, :]
    return images * kept[:, None]  # many times as fast as masked_fill


AUGMENTATIONS: dict[str, Augmentation] = {
    "shift": Augmentation(shift, Annotated[int, Ge(0)]),
    "flip": Augmentation(flip, bool),
    "cutout": Augmentation(cutout, Annotated[int, Ge(0)]),
}


def augmented(images: "Tensor", config: Mapping[str, Any]) -> "Tensor":
    for name, augmentation in AUGMENTATIONS.items():
        if config[name]:
            images = augmentation.apply(images, config[name])
    return images
