"""Predictions → what they say of a classifier: its confusions, its accuracy a class, its calibration, its mistakes."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reprotune.artifacts import read_csv
from reprotune.data.metric import share_right
from reprotune.training.predictions import Prediction

BINS = 10  # of confidence, 0 … 1


class Bin(NamedTuple):
    """The images whose confidence is above `low` and at most `high`; the first bin has those of 0 too."""

    low: float
    high: float
    images: int
    confidence: float | None  # its mean; None without images
    accuracy: float | None


def confusion_matrix(predictions: Sequence[Prediction], classes: int) -> list[list[int]]:
    """[label][predicted] → how many images."""
    matrix = [[0] * classes for _ in range(classes)]
    for found in predictions:
        matrix[found.label][found.predicted] += 1
    return matrix


def recalls(matrix: Sequence[Sequence[int]]) -> list[float | None]:
    """Class → the share of its images that are recognised; None if it has none."""
    return [row[label] / sum(row) if sum(row) else None for label, row in enumerate(matrix)]


def precisions(matrix: Sequence[Sequence[int]]) -> list[float | None]:
    """Class → the share of the images taken for it that are of it; None if none is."""
    taken = [sum(column) for column in zip(*matrix, strict=True)]
    return [matrix[label][label] / images if images else None for label, images in enumerate(taken)]


def balanced_accuracy(matrix: Sequence[Sequence[int]]) -> float:
    """The mean of the recalls: each class counts the same, however many images it has."""
    right = [row[label] for label, row in enumerate(matrix)]
    return share_right(right, [sum(row) for row in matrix], "balanced_accuracy")


def calibration(predictions: Sequence[Prediction]) -> list[Bin]:
    """What is said with a confidence of 80 % should be right in 80 % of the cases."""
    binned: list[list[Prediction]] = [[] for _ in range(BINS)]
    for found in predictions:
        binned[max(0, math.ceil(round(found.confidence * BINS, 3)) - 1)].append(found)
    return [Bin(number / BINS, (number + 1) / BINS, len(held), *_means(held)) for number, held in enumerate(binned)]


def _means(held: Sequence[Prediction]) -> tuple[float | None, float | None]:
    if not held:
        return None, None
    confidence = math.fsum(found.confidence for found in held) / len(held)
    return confidence, sum(found.predicted == found.label for found in held) / len(held)


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """The mean distance of a bin's accuracy from its confidence, weighted by its images (Guo et al. 2017)."""
    distances = (
        held.images * abs(held.accuracy - held.confidence)
        for held in bins
        if held.accuracy is not None and held.confidence is not None
    )
    return math.fsum(distances) / sum(held.images for held in bins)


def mistakes(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The wrong ones, the most confident first."""
    wrong = (found for found in predictions if found.predicted != found.label)
    return sorted(wrong, key=lambda found: (-found.confidence, found.image))


def summary(predictions: Sequence[Prediction], classes: int) -> dict[str, float | int]:
    """The classifier in a few numbers."""
    matrix = confusion_matrix(predictions, classes)
    wrong = len(mistakes(predictions))
    return {
        "images": len(predictions),
        "mistakes": wrong,
        "accuracy": (len(predictions) - wrong) / len(predictions),
        "balanced_accuracy": balanced_accuracy(matrix),
        "expected_calibration_error": expected_calibration_error(calibration(predictions)),
    }


def by_class(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of class, images, accuracy (its recall), precision."""
    for name, row, recall, precision in zip(classes, matrix, recalls(matrix), precisions(matrix), strict=True):
        yield name, sum(row), recall, precision


def wilson(right: int, images: int) -> tuple[float, float]:
    """The 95 % interval of a share, by Wilson's score (1927), which holds for few images and shares near 1 too."""
    z = 1.959963984540054
    share, weight = right / images, z**2 / images
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / images + weight / (4 * images))
    return middle - half, middle + half


def read(path: Path, classes: Sequence[str]) -> list[Prediction]:
    """What evaluation.write_predictions wrote."""
    number = {name: at for at, name in enumerate(classes)}
    return [
        Prediction(int(row["image"]), number[row["label"]], number[row["predicted"]], float(row["confidence"]))
        for row in read_csv(path)
    ]
