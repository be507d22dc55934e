"""Seeded parts of a dataset, in which every class keeps its share."""

import math

import numpy as np

from reprotune.data.images import Arrays
from reprotune.errors import ParamsError


def hold_out(arrays: Arrays, count: int, seed: int) -> tuple[Arrays, Arrays]:
    """(the rest, `count` of them), each shuffled, the classes in the same proportions."""
    from sklearn.model_selection import train_test_split

    index = np.arange(len(arrays.labels))
    rest, held_out = train_test_split(index, test_size=count, stratify=arrays.labels, random_state=seed)
    return arrays.take(rest), arrays.take(held_out)


def stratified_part(arrays: Arrays, count: int | None, seed: int, key: str) -> Arrays:
    """A stratified part, or all for None. Raises ParamsError, naming `key`, if each class cannot be in it."""
    of_classes = np.unique_counts(arrays.labels).counts
    classes = len(of_classes)
    available = len(arrays.labels)
    if count is None or count == available:
        return arrays
    if not classes <= count <= available - classes:
        raise ParamsError(key, count, f"must be from {classes} to {available - classes}, or null for all {available}")
    if of_classes.min() < 2:
        raise ParamsError(key, count, f"must be null for all {available}, as one class has a single image there")
    return hold_out(arrays, count, seed)[1]


def mean_and_std(channel: np.ndarray) -> tuple[float, float]:
    """Of values scaled to 0 … 1; from the counts of its 256 levels, and rounded, so that no kernel changes a bit."""
    levels, counts = np.unique(channel, return_counts=True)
    mean = np.average(levels / 255, weights=counts)
    variance = np.average((levels / 255 - mean) ** 2, weights=counts)
    return round(float(mean), 6), round(math.sqrt(variance), 6)
