"""DATASETS: each is fetched, split and stored by `download`."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reprotune.data import cifar, image_folder, mnist, pictures, stored
from reprotune.data.images import SPLITS, Arrays, Part, SplitName, whole
from reprotune.data.splits import differ, hold_out, in_last_split, numbered, share_out, stratified_part, units
from reprotune.data.stored import Own
from reprotune.errors import ParamsError, named
from reprotune.params import Data


class Parted(NamedTuple):
    classes: Sequence[str]
    splits: Mapping[SplitName, Part]
    own: Own | None = None


@dataclass(frozen=True)
class Dataset:
    """How to get a published dataset, and how many of its images are held out."""

    fetch: Callable[[Data], tuple[Arrays, Arrays | None]]  # → (all but test, official test set)
    valid: int
    test: int  # 0 if there is an official test set
    classes: Sequence[str]

    def parted(self, data: Data, seed: int) -> Parted:
        everything, official = self.fetch(data)
        rest = whole(everything)
        if official is None:
            rest, test = hold_out(rest, self.test, seed)
        else:
            test = whole(official)
        train, valid = hold_out(rest, self.valid, seed)
        return Parted(self.classes, {"train": train, "valid": valid, "test": test})


@dataclass(frozen=True)
class OwnImages:
    """A folder of one's own images, and which shares of them are held out where it has no such splits itself."""

    held_out: Mapping[SplitName, float]

    def parted(self, data: Data, seed: int) -> Parted:
        found = image_folder.find(data.images)
        group = image_folder.groups(found, data.images)
        print(image_folder.told(found, data.images, self.held_out), flush=True)
        taken = pictures.take([found.root / path for path in found.paths], data.images)
        copy = numbered(blake2b(image, digest_size=16).digest() for image in taken.images)
        kept = in_last_split(copy, found.splits)
        image_folder.check_counts(found, kept)
        everything = whole(Arrays(taken.images, found.labels))
        given = {
            name: everything.take(np.flatnonzero(kept & (found.splits == number)))
            for number, name in enumerate(SPLITS)
            if number in found.splits[kept]
        }
        rest = given.pop("train")
        shares = {name: share for name, share in self.held_out.items() if name not in given}
        unit = (units(copy) if group is None else units(copy, group))[rest.rows]
        own = _own(found, taken, copy, group, kept)
        return Parted(found.classes, given | _shared_out(rest, unit, shares, found.classes, seed), own)


def _shared_out(
    rest: Part, unit: np.ndarray, shares: Mapping[SplitName, float], classes: Sequence[str], seed: int
) -> dict[SplitName, Part]:
    total = len(rest.rows)
    if len(set(unit)) < total:
        return share_out(rest, unit, {"train": 1 - sum(shares.values()), **shares}, classes, seed)
    splits: dict[SplitName, Part] = {}
    for name, share in shares.items():
        rest, splits[name] = hold_out(rest, math.ceil(share * total), seed)
    return {"train": rest, **splits}


def _own(
    found: image_folder.Found, taken: pictures.Taken, copy: np.ndarray, group: np.ndarray | None, kept: np.ndarray
) -> Own:
    """What was found, which is also told."""
    mixed = differ(copy, found.labels)
    twins: dict[int, list[str]] = defaultdict(list)
    for row in np.flatnonzero(mixed):
        twins[int(copy[row])].append(found.paths[row])
    own = Own(
        copies=len(copy) - len(set(copy)),
        two_labels=int(mixed.sum()),
        left_out=int((~kept).sum()),
        groups=None if group is None else len(set(group)),
        range=taken.black_and_white,
    )
    low, high = own.range or (0, 255)
    lines = {
        f"{taken.several} have several frames or pages: the first is taken": taken.several,
        f"{taken.deep} have more than 8 bits: {low} is black, {high} white (data.images.range)": taken.deep,
        f"{own.copies} are pixel-for-pixel copies of another, and in no other split": own.copies,
        f"{own.left_out} are left out, because copies of them are in test or valid": own.left_out,
        f"{own.two_labels} are under several classes: {named([' = '.join(paths) for paths in twins.values()])}": twins,
        f"groups: {own.groups}, each in one split": own.groups,
    }
    for line in (line for line, counted in lines.items() if counted):
        print(f"{found.root}: {line}")
    return own


DATASETS: dict[str, Dataset | OwnImages] = {
    "mnist_5k": Dataset(lambda data: (mnist.mnist_5k(), None), valid=750, test=750, classes=mnist.DIGITS),
    "mnist": Dataset(lambda data: mnist.mnist(mnist.MNIST, data.mirror), valid=5000, test=0, classes=mnist.DIGITS),
    "fashion_mnist": Dataset(
        lambda data: mnist.mnist(mnist.FASHION_MNIST, data.mirror), valid=5000, test=0, classes=mnist.CLOTHES
    ),
    "cifar10": Dataset(lambda data: cifar.cifar10(data.mirror), valid=5000, test=0, classes=cifar.CLASSES),
    "image_folder": OwnImages({"test": 0.15, "valid": 0.15}),
}


def download(data: Data, seed: int, folder: Path) -> None:
    """Fetch the dataset, split it stratified by class, and store it in `folder`. Raises UserError."""
    if data.dataset not in DATASETS:
        raise ParamsError("data.dataset", data.dataset, f"must be one of {', '.join(DATASETS)}")
    classes, splits, own = DATASETS[data.dataset].parted(data, seed)
    train = stratified_part(splits["train"], data.train_examples, seed, "data.train_examples")
    valid = stratified_part(splits["valid"], data.valid_examples, seed, "data.valid_examples")
    stored.write(folder, data.dataset, classes, {"train": train, "valid": valid, "test": splits["test"]}, own)
