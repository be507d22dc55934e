"""Seeded parts of a dataset, in which every class keeps its share."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np

from reprotune.data.images import Part, SplitName
from reprotune.errors import ParamsError, UserError, named


def hold_out(part: Part, count: int, seed: int) -> tuple[Part, Part]:
    """(the rest, `count` of them), each shuffled, the classes in the same proportions.

    The rows of scikit-learn's train_test_split, whose import takes longer than all else that `download` does.
    """
    rng = np.random.RandomState(seed)
    _, label, of_classes = np.unique(part.labels, return_inverse=True, return_counts=True)
    kept = _shares(of_classes, len(label) - count, rng)
    taken = _shares(of_classes - kept, count, rng)
    rows = np.split(np.argsort(label, kind="stable"), of_classes.cumsum()[:-1])
    shuffled = [rng.permutation(of_class) for of_class in rows]
    rest = np.concatenate([found[:end] for found, end in zip(shuffled, kept, strict=True)])
    ends = zip(shuffled, kept, kept + taken, strict=True)
    held_out = np.concatenate([found[begin:end] for found, begin, end in ends])
    return part.take(rng.permutation(rest)), part.take(rng.permutation(held_out))


def _shares(of_classes: np.ndarray, count: int, rng: np.random.RandomState) -> np.ndarray:
    """How many of each class make `count` in all: the nearest whole numbers, ties by chance. int64, (classes,)."""
    exact = of_classes / of_classes.sum() * count
    shares: np.ndarray = np.floor(exact)
    remainders = exact - shares
    left = int(count - shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if left:
            tied = np.flatnonzero(remainders == remainder)
            raised = rng.choice(tied, size=min(len(tied), left), replace=False)
            shares[raised] += 1
            left -= len(raised)
    of_class: np.ndarray = shares.astype(np.int64)
    return of_class


def stratified_part(part: Part, count: int | None, seed: int, key: str) -> Part:
    """A stratified part, or all for None. Raises ParamsError, naming `key`, if each class cannot be in it."""
    of_classes = np.unique_counts(part.labels).counts
    classes = len(of_classes)
    available = len(part.rows)
    if count is None or count == available:
        return part
    if not classes <= count <= available - classes:
        raise ParamsError(key, count, f"must be from {classes} to {available - classes}, or null for all {available}")
    if of_classes.min() < 2:
        raise ParamsError(key, count, f"must be null for all {available}, as one class has a single image there")
    drawn = hold_out(part, count, seed)[1]
    if len(np.unique(drawn.labels)) < classes:
        enough = math.ceil(available / of_classes.min())
        wrong = f"must be {enough} or more, or null for all {available}, so that it has each class"
        raise ParamsError(key, count, wrong)
    return drawn


def numbered(keys: Iterable[Hashable]) -> np.ndarray:
    """int64, (N,): the same number for equal keys."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def units(*keys: np.ndarray) -> np.ndarray:
    """int64, (N,): one number for all that share a key's number, directly or through others."""
    number: np.ndarray = np.arange(len(keys[0]))
    while True:
        before = number
        for key in keys:
            least = np.full(key.max() + 1, len(key))
            np.minimum.at(least, key, number)
            number = np.take(least, key)
        if np.array_equal(number, before):
            return number


def in_last_split(copy: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """bool, (N,): false for what has a copy in a later split. copy, splits: int64, (N,)."""
    last = np.zeros(copy.max() + 1, dtype=np.int64)
    np.maximum.at(last, copy, splits)
    kept: np.ndarray = splits == last[copy]
    return kept


def differ(copy: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """bool, (N,): true for what has a copy with another label. copy: as `numbered` gives it."""
    first = np.unique(copy, return_index=True)[1]
    mixed = np.zeros(len(first), dtype=np.bool_)
    np.logical_or.at(mixed, copy, labels != labels[first[copy]])
    return np.take(mixed, copy)


def share_out(
    part: Part, unit: np.ndarray, shares: Mapping[SplitName, float], classes: Sequence[str], seed: int
) -> dict[SplitName, Part]:
    """Each unit whole in one split, and the classes as near to these shares as that allows. unit: int64, (N,).

    The large ones first, each to the split that lacks most of its classes; the last ones of a class are for the splits
    that have none of it. Raises UserError if a split has none of a class.
    """
    rng = np.random.default_rng(seed)
    members = _members(unit, rng)
    contents = [np.unique_counts(part.labels[rows]) for rows in members]
    having = np.bincount(np.concatenate([labels for labels, _ in contents]))  # units that a class is in
    left = having.copy()
    wanted = np.outer(list(shares.values()), np.bincount(part.labels))
    lacking = wanted.copy()
    none_yet = np.full(wanted.shape, True)
    split_of = np.empty(len(unit), dtype=np.int64)
    for rows, (labels, counts) in zip(members, contents, strict=True):
        lack = ((lacking[:, labels] - counts) / wanted[:, labels]) @ counts
        last = labels[left[labels] <= none_yet[:, labels].sum(axis=0)]
        if none_yet[:, last].any():
            lack[~none_yet[:, last].any(axis=1)] = -np.inf
        split = split_of[rows] = lack.argmax()
        lacking[split, labels] -= counts
        none_yet[split, labels] = False
        left[labels] -= 1
    for name, count, absent in zip(classes, having, none_yet.T, strict=True):
        if absent.any():
            raise UserError(
                f"class {named([name])}: is in {count} of the groups of pictures that stay together "
                f"(data.images.group, and copies), too few for {', '.join(shares)}, each of which needs one"
            )
    return {name: part.take(rng.permutation(np.flatnonzero(split_of == i))) for i, name in enumerate(shares)}


def _members(unit: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """The rows of each unit; the largest first, those of one size shuffled."""
    rows = np.argsort(unit, kind="stable")
    members = np.split(rows, np.flatnonzero(np.diff(unit[rows])) + 1)
    return sorted((members[i] for i in rng.permutation(len(members))), key=len, reverse=True)
