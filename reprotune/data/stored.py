"""A dataset in its folder: a memory-mapped file of images and one of labels for each split, and their digests.

So it loads in milliseconds, and every worker on a machine reads the same copy. Its digest stands for its content.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from reprotune.artifacts import SharedFiles, atomic_write, digest, file_digest, write_csv, write_json
from reprotune.data.images import SPLITS, Arrays, Inputs, Part, Shape, Split, SplitName, slices
from reprotune.errors import UserError
from reprotune.params import Range, Section

DESCRIPTION = "dataset.json"
CLASS_BALANCE = "class_balance.csv"


class Own(Section):
    """What was found in a folder of one's own images."""

    copies: int  # pictures that equal another, pixel for pixel
    two_labels: int  # those of them that are under another label, too
    left_out: int  # those of them that were in another of the folder's own splits, too
    groups: int | None  # that `data.images.group` finds
    range: Range | None  # what is black and what is white in pictures of more than 8 bits


class Description(Section):
    """dataset.json."""

    name: str
    classes: tuple[str, ...]
    shape: Shape
    mean: tuple[float, ...]  # for each channel, over the train split, of pixel values scaled to 0 … 1
    std: tuple[float, ...]
    digest: str  # of all files
    files: dict[str, str]  # name → its sha256
    own: Own | None = None


def write(
    folder: Path, name: str, classes: Sequence[str], splits: Mapping[SplitName, Part], own: Own | None = None
) -> None:
    for split, part in splits.items():
        for kind, array in part.arrays._asdict().items():
            _save(folder / f"{split}_{kind}.npy", array, part.rows)
    files = {path.name: file_digest(path) for path in sorted(folder.glob("*.npy"))}
    images = np.load(folder / "train_images.npy", mmap_mode="r")
    mean, std = zip(*map(_mean_and_std, images.swapaxes(0, 1)), strict=True)
    description = Description(
        name=name,
        classes=tuple(classes),
        shape=images.shape[1:],
        mean=mean,
        std=std,
        digest=digest(files),
        files=files,
        own=own,
    )
    write_json(folder / DESCRIPTION, description.model_dump(exclude_defaults=True))
    counts = [np.bincount(splits[split].labels, minlength=len(classes)).tolist() for split in SPLITS]
    write_csv(folder / CLASS_BALANCE, ("class", *SPLITS), zip(classes, *counts, strict=True))


def _mean_and_std(channel: np.ndarray) -> tuple[float, float]:
    """Of values scaled to 0 … 1; from the counts of its 256 levels, and rounded, so that no kernel changes a bit."""
    counts = sum(
        (np.bincount(channel[rows].ravel(), minlength=256) for rows in slices(channel)), np.zeros(256, np.int64)
    )
    levels = np.flatnonzero(counts)
    mean = np.average(levels / 255, weights=counts[levels])
    variance = np.average((levels / 255 - mean) ** 2, weights=counts[levels])
    return round(float(mean), 6), round(math.sqrt(variance), 6)


def _save(path: Path, array: np.ndarray, index: np.ndarray) -> None:
    """The bytes of np.save(path, array[index]), without these rows in memory."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        shape = (len(index), *array.shape[1:])
        head = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        for rows in slices(array):
            file.write(array[index[rows]].tobytes())


class StoredDataset:
    """What `write` stored in a folder: as `Description` says. Raises UserError."""

    def __init__(self, folder: Path) -> None:
        path = folder / DESCRIPTION
        try:
            description = Description.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise UserError(f"{folder}: holds no dataset; `dvc repro download` makes it") from None
        except ValidationError as error:
            first = error.errors()[0]
            wrong = ".".join(map(str, first["loc"])) or "it"
            raise UserError(f"{path}: {wrong}: {first['msg']}; `dvc repro -f download` makes it again") from None
        self.folder, self.name, self.digest = folder, description.name, description.digest
        self.classes, self.shape = description.classes, description.shape
        self.mean, self.std = description.mean, description.std
        self.files, self.own = description.files, description.own
        self._loaded: dict[tuple[SplitName, str], Split] = {}

    @property
    def shared_files(self) -> SharedFiles:
        """All that a copy needs."""
        files = {DESCRIPTION: file_digest(self.folder / DESCRIPTION), **self.files}
        return SharedFiles(self.folder, tuple(files.items()), self.digest, relocate)

    def verify(self) -> None:
        """Raises UserError if a file is not what was stored."""
        if digest(self.files) != self.digest:
            raise UserError(f"{self.folder / DESCRIPTION}: is damaged; `dvc repro -f download` makes it again")
        for name, expected in self.files.items():
            if file_digest(self.folder / name) != expected:
                raise UserError(f"{self.folder / name}: is damaged; `dvc repro -f download` makes it again")

    @property
    def inputs(self) -> Inputs:
        return Inputs(self.shape, len(self.classes), self.mean, self.std)

    @property
    def sizes(self) -> dict[str, int]:
        """Split → how many images it has."""
        return {split: len(self.arrays(split).labels) for split in SPLITS}

    def class_sizes(self, split: SplitName) -> list[int]:
        """How many images each class has."""
        sizes: list[int] = np.bincount(self.arrays(split).labels, minlength=len(self.classes)).tolist()
        return sizes

    def arrays(self, split: SplitName) -> Arrays:
        """The memory-mapped files: pages are read when used, and shared between processes."""
        return Arrays(*(np.load(self.folder / f"{split}_{kind}.npy", mmap_mode="c") for kind in Arrays._fields))

    def load(self, split: SplitName, device: str = "cpu") -> Split:
        """Tensors on the memory-mapped files; another device gets a copy of them, once."""
        import torch  # 2 s, which the stage `download` does not need

        if (split, device) not in self._loaded:
            images, labels = (torch.from_numpy(array).to(device) for array in self.arrays(split))
            self._loaded[split, device] = Split(images, labels)
        return self._loaded[split, device]


def open_verified(name: str) -> StoredDataset:
    """The dataset in data/, each of its files as it was stored. Raises UserError."""
    dataset = StoredDataset(Path("data") / name)
    dataset.verify()
    return dataset


_relocated: dict[str, Path] = {}  # a dataset's digest → where this process has it, if not where its tasks say


def relocate(digest: str, folder: Path) -> None:
    """Let this process open the dataset in another folder than its tasks name."""
    _relocated[digest] = folder


@lru_cache(maxsize=1)
def open_dataset(folder: Path, digest: str) -> StoredDataset:
    """The dataset of a task, opened once a worker; another dataset in the same folder is another entry."""
    dataset = StoredDataset(_relocated.get(digest, folder))
    if dataset.digest != digest:
        raise UserError(f"{folder}: holds dataset {dataset.digest[:12]} by now, not {digest[:12]}; run this again")
    return dataset
