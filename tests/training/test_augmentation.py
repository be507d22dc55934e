"""What moves where: each image of a batch is compared with all that may become of it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reprotune.training.augmentation import AUGMENTATIONS, augmented, cutout, flip, shift

OFF: dict[str, Any] = {"shift": 0, "flip": False, "cutout": 0}
ON: dict[str, Any] = {"shift": 2, "flip": True, "cutout": 3}
N = 500


@pytest.fixture(params=[(1, 7, 7), (3, 6, 8)], ids=["grey", "colour"])
def image(request: pytest.FixtureRequest) -> Tensor:
    """(C, H, W), no two pixels the same, none black."""
    channels, height, width = request.param
    return torch.arange(1, channels * height * width + 1, dtype=torch.uint8).view(channels, height, width)


def outcomes(augment: Callable[[Tensor, Any], Tensor], image: Tensor, value: Any, possible: list[Tensor]) -> list[int]:
    """How many of N images became each of what is possible; every image becomes exactly one of it."""
    torch.manual_seed(0)
    images = image.expand(N, *image.shape).contiguous()
    result = augment(images, value)
    assert result.dtype == torch.uint8
    assert torch.equal(images, image.expand(N, *image.shape))  # what was given is as it was
    matches = torch.stack([(result == one).flatten(1).all(dim=1) for one in possible])
    assert torch.equal(matches.sum(dim=0), torch.ones(N, dtype=torch.int64))
    return matches.sum(dim=1).tolist()


def moved(image: Tensor, down: int, right: int) -> Tensor:
    """Padding by a negative number of pixels cuts them off."""
    return F.pad(image, (right, -right, down, -down))


def test_moved() -> None:
    image = torch.tensor([[[1, 2], [3, 4]]], dtype=torch.uint8)
    assert moved(image, 1, 0).tolist() == [[[0, 0], [1, 2]]]
    assert moved(image, -1, 1).tolist() == [[[0, 3], [0, 0]]]


@pytest.mark.parametrize("most", [1, 2])
def test_shift(image: Tensor, most: int) -> None:
    steps = range(-most, most + 1)
    counts = outcomes(shift, image, most, [moved(image, down, right) for down in steps for right in steps])
    assert min(counts) > 0


def test_flip(image: Tensor) -> None:
    counts = outcomes(flip, image, True, [image, image[:, :, range(image.shape[2] - 1, -1, -1)]])
    assert min(counts) > 200


@pytest.mark.parametrize("size", [1, 2, 3])
def test_cutout(image: Tensor, size: int) -> None:
    _, height, width = image.shape
    possible = []
    for row in range(-(size // 2), height - size // 2):
        for column in range(-(size // 2), width - size // 2):
            expected = image.clone()
            expected[:, max(row, 0) : row + size, max(column, 0) : column + size] = 0
            possible.append(expected)
    counts = outcomes(cutout, image, size, possible)
    assert sum(count > 0 for count in counts) > 0.9 * len(possible)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_seed_gives_the_same_images(name: str) -> None:
    images = torch.randint(256, (64, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))

    def result(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return augmented(images, OFF | {name: ON[name]})

    assert torch.equal(result(0), result(0))
    assert not torch.equal(result(0), result(1))
    assert not torch.equal(result(0), images)


def test_what_is_off_is_not_called() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    state = torch.get_rng_state()
    assert augmented(images, OFF) is images
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_stay_on_their_device(name: str) -> None:
    images = torch.zeros(5, 3, 8, 8, dtype=torch.uint8, device="meta")
    result = augmented(images, OFF | {name: ON[name]})
    assert (result.device.type, result.shape, result.dtype) == ("meta", images.shape, torch.uint8)
