import math

import pytest

from reprotune.data.metric import effective_images, share_right
from reprotune.params import Metric


@pytest.mark.parametrize(
    ("right", "images", "accuracy", "balanced"),
    [
        ([3, 1], [4, 4], 0.5, 0.5),
        ([90, 0], [90, 10], 0.9, 0.5),
        ([90, 0, 0], [90, 10, 0], 0.9, 0.5),
        ([1, 3, 0], [2, 4, 5], 4 / 11, (0.5 + 0.75) / 3),
    ],
)
def test_the_share_that_is_right(right: list[int], images: list[int], accuracy: float, balanced: float) -> None:
    assert share_right(right, images, "accuracy") == accuracy
    assert share_right(right, images, "balanced_accuracy") == pytest.approx(balanced)


@pytest.mark.parametrize("images", [[20, 20, 20], [90, 10], [500, 30, 0, 7]])
@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_the_images_that_a_standard_error_rests_on(metric: Metric, images: list[int]) -> None:
    """The variance of a weighted mean of independent shares: Σ wᵢ² p (1 − p) / nᵢ."""
    p, sizes = 0.8, [every for every in images if every]
    weights = [every / sum(sizes) if metric == "accuracy" else 1 / len(sizes) for every in sizes]
    variance = sum(weight**2 * p * (1 - p) / every for weight, every in zip(weights, sizes, strict=True))
    assert math.sqrt(p * (1 - p) / effective_images(images, metric)) == pytest.approx(math.sqrt(variance))
