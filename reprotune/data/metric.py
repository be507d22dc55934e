"""data.metric: what accuracy means. The share of all images that is right, or the mean over the classes of theirs."""

import math
from collections.abc import Collection, Sequence

from reprotune.params import Metric


def told(metric: Metric) -> str:
    return metric.replace("_", " ")


def unless_default(metric: Metric) -> dict[str, str]:
    """What digests and files say of it."""
    return {} if metric == "accuracy" else {"metric": metric}


def share_right(right: Sequence[int], images: Sequence[int], metric: Metric) -> float:
    """Of each class, how many images are classified correctly, and how many there are. A class without any is none."""
    if metric == "accuracy":
        return sum(right) / sum(images)
    shares = [found / every for found, every in zip(right, images, strict=True) if every]
    return math.fsum(shares) / len(shares)


def effective_images(images: Collection[int], metric: Metric) -> float:
    """n, of which a share p has the standard error √(p (1 − p) / n). images: how many each class has.

    The mean over k classes, each with a share p of its nᵢ images, has that of k² / Σ 1/nᵢ images.
    """
    if metric == "accuracy":
        return sum(images)
    found = [every for every in images if every]
    return len(found) ** 2 / math.fsum(1 / every for every in found)
