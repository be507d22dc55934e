"""DATASETS: each is fetched, split and stored by `download`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reprotune.data import cifar, image_folder, mnist, stored
from reprotune.data.images import Arrays
from reprotune.data.splits import hold_out, stratified_part
from reprotune.errors import ParamsError
from reprotune.params import Data


@dataclass(frozen=True)
class Dataset:
    """How to get a dataset, and how many of its images are held out: a number, or a share of all if below 1."""

    fetch: Callable[[Data], tuple[Arrays, Arrays | None]]  # → (all but test, official test set)
    valid: float
    test: float  # 0 if there is an official test set
    classes: tuple[str, ...] | Callable[[Data], tuple[str, ...]]


DATASETS: dict[str, Dataset] = {
    "mnist_5k": Dataset(lambda data: (mnist.mnist_5k(), None), valid=750, test=750, classes=mnist.DIGITS),
    "mnist": Dataset(lambda data: mnist.mnist(mnist.MNIST, data.mirror), valid=5000, test=0, classes=mnist.DIGITS),
    "fashion_mnist": Dataset(
        lambda data: mnist.mnist(mnist.FASHION_MNIST, data.mirror), valid=5000, test=0, classes=mnist.CLOTHES
    ),
    "cifar10": Dataset(lambda data: cifar.cifar10(data.mirror), valid=5000, test=0, classes=cifar.CLASSES),
    "image_folder": Dataset(
        lambda data: (image_folder.read(data.images), None),
        valid=0.15,
        test=0.15,
        classes=lambda data: image_folder.classes(data.images),
    ),
}


def download(data: Data, seed: int, folder: Path) -> None:
    """Fetch the dataset, split it stratified by class, and store it in `folder`. Raises UserError."""
    if data.dataset not in DATASETS:
        raise ParamsError("data.dataset", data.dataset, f"must be one of {', '.join(DATASETS)}")
    dataset = DATASETS[data.dataset]
    rest, test = dataset.fetch(data)
    total = len(rest.labels)
    if test is None:
        rest, test = hold_out(rest, _count(dataset.test, total), seed)
    train, valid = hold_out(rest, _count(dataset.valid, total), seed)
    train = stratified_part(train, data.train_examples, seed, "data.train_examples")
    valid = stratified_part(valid, data.valid_examples, seed, "data.valid_examples")
    classes = dataset.classes(data) if callable(dataset.classes) else dataset.classes
    stored.write(folder, data.dataset, classes, {"train": train, "valid": valid, "test": test})


def _count(held_out: float, total: int) -> int:
    return math.ceil(held_out * total) if held_out < 1 else int(held_out)
