"""A folder of one's own images: which of its files are pictures, of which class, in which split.

A sub-folder a class, or one a split with the classes in it, as datasets are published.
"""

import math
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reprotune.data.fetch import expanded
from reprotune.data.images import SPLITS, SplitName
from reprotune.data.pictures import MODES, entries, files
from reprotune.data.splits import differ, numbered
from reprotune.errors import ParamsError, UserError, counted, named
from reprotune.params import Images

LEAST = 10  # images of a class, so that it is in every split: 15 % of 10 are at least one
_SPLITS: dict[str, SplitName] = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_SPLITS |= dict.fromkeys(("val", "valid", "validation"), "valid")
_CONTROLS = {"Cc", "Zl", "Zp"}  # in a name they would break lines, tables and figures


class Found(NamedTuple):
    """The pictures, in the order of their paths."""

    root: Path
    classes: tuple[str, ...]  # in alphabetical order
    paths: tuple[str, ...]  # below root
    labels: np.ndarray  # int64, (N,)
    splits: np.ndarray  # int64, (N,): which of SPLITS; train where the folder has no splits of its own
    passed_over: tuple[tuple[str, Path], ...]  # (why, which) of files and folders


def find(images: Images) -> Found:
    """Raises UserError for what cannot be taken, or what DVC would not see."""
    root = check_names(images)
    passed: list[tuple[str, Path]] = []
    tops = _folders(root, passed)
    splits = _own_splits(images, tops)
    folders: list[tuple[SplitName, Path]] = [("train", root / name) for name in tops]
    if splits:
        folders = [(split, root / top / name) for top, split in splits.items() for name in _folders(root / top, passed)]
    classes = sorted({folder.name for _, folder in folders})
    if len(classes) < 2:
        only = f" ({named(classes)}){_deeper(folders)}" if classes else _in_a_copy(root)
        must = f"must hold 2 classes or more, not {len(classes)}{only}"
        raise ParamsError("data.images.folder", images.folder, must)
    if broken := [name for name in classes if _CONTROLS.intersection(map(unicodedata.category, name))]:
        raise UserError(
            f"{root}: names of classes with line breaks or control characters: {named(broken)}; rename them"
        )
    composed = [unicodedata.normalize("NFC", name) for name in classes]
    if twins := [name for name, form in zip(classes, composed, strict=True) if composed.count(form) > 1]:
        raise UserError(f"{root}: names of classes that differ in their Unicode form alone: {named(twins)}; merge them")
    number = {name: i for i, name in enumerate(classes)}
    rows = [
        (path, number[folder.name], split) for split, folder in folders for path in files(folder, passed, refuse=True)
    ]
    found = Found(
        root,
        tuple(classes),
        tuple(path.relative_to(root).as_posix() for path, *_ in rows),
        np.array([label for _, label, _ in rows], dtype=np.int64),
        np.array([SPLITS.index(split) for *_, split in rows], dtype=np.int64),
        tuple(passed),
    )
    check_counts(found, np.full(len(rows), True))
    return found


def check_counts(found: Found, kept: np.ndarray) -> None:
    """Raises UserError for a class of too few images to train. kept: bool, (N,)."""
    counts = np.bincount(found.labels[kept & (found.splits == 0)], minlength=len(found.classes))
    least = 1 if len(np.unique(found.splits[kept])) == len(SPLITS) else LEAST
    for name, count in zip(found.classes, counts, strict=True):
        if count < least:
            own = found.splits.any()
            where = f"{found.root}: train has of {named([name])}" if own else f"{named([found.root / name])}: holds"
            besides = "" if kept.all() else " besides copies of later splits"
            raise UserError(f"{where} {counted(count, 'image')}{besides}; each class needs {least} or more")


def groups(found: Found, images: Images) -> np.ndarray | None:
    """int64, (N,): equal for pictures that must stay together. Raises UserError."""
    if images.group is None:
        return None
    matches = [re.search(images.group, path) for path in found.paths]
    without = [path for path, match in zip(found.paths, matches, strict=True) if not match]
    if without:
        must = f"must match the path of every picture, not only of some: {named(without)}"
        raise ParamsError("data.images.group", images.group, must)
    keys = [match[min(match.re.groups, 1)] or match[0] for match in matches if match]
    group = numbered(keys)
    torn = sorted({keys[row] for row in np.flatnonzero(differ(group, found.splits))})
    if torn:
        must = f"each must lie in one of the folder's own splits, but not so {named(torn)}"
        raise ParamsError("data.images.group", images.group, must)
    return group


def told(found: Found, images: Images, held_out: Mapping[SplitName, float]) -> str:
    """What is taken, and what is not; how it is split, and what it takes."""
    counts = np.bincount(found.labels, minlength=len(found.classes))
    classes = [f"{name} {count:,}" for name, count in zip(found.classes, counts, strict=True)]
    own = [name for number, name in enumerate(SPLITS) if number in found.splits]
    shares = [f"{share:.0%} {name}" for name, share in held_out.items() if name not in own]
    size = math.ceil(len(found.paths) * len(MODES[images.mode]) * math.prod(images.size) / 1e6)
    lines = [f"{len(found.paths):,} images: {named(classes, 20)}"]
    lines.append(f"{size:,} MB of disk, and twice that while it is made")
    if len(own) > 1:
        lines.append(f"the splits are its folders: {', '.join(own)}")
        for name in own:
            there = set(found.labels[found.splits == SPLITS.index(name)])
            if lacking := [known for label, known in enumerate(found.classes) if label not in there]:
                lines.append(f"not in {name}: {named(lacking)}")
    if shares:
        lines.append(f"held out: {', '.join(shares)}")
    for why in dict.fromkeys(why for why, _ in found.passed_over):
        names = [path.name for reason, path in found.passed_over if reason == why]
        lines.append(f"skipped, {why}: {len(names)} ({named(list(dict.fromkeys(names)))})")
    return "\n".join(f"{found.root}: {line}" for line in lines)


def check_names(images: Images) -> Path:
    """The folder, in which every name is one that DVC can read. Raises UserError."""
    if images.folder.startswith("~"):
        whole = expanded(images.folder)
        raise ParamsError("data.images.folder", images.folder, f"must be written out, for DVC: {whole}")
    root = Path(images.folder)
    if not images.folder or not root.is_dir():  # "" would be the current folder
        raise ParamsError("data.images.folder", images.folder, "must be a folder with a sub-folder for each class")
    names = [str(Path(folder, name)) for folder, *inside in os.walk(root) for names in inside for name in names]
    bad = [name for name in names if name != name.encode(errors="replace").decode()]
    if bad:
        raise UserError(f"names that are not UTF-8, which DVC cannot read: {named(bad)}; rename them")
    return root


def _deeper(folders: Sequence[tuple[SplitName, Path]]) -> str:
    """Where the classes may be, if all lies one folder further down."""
    (_, folder), *others = folders
    inside = sum(entry.is_dir() for entry in entries(folder, [], refuse=False))
    return f"; {folder} may be meant" if inside > 1 and not others else ""


def _in_a_copy(root: Path) -> str:
    """What to do if the folder was left behind."""
    if root.is_absolute() or Path(os.environ.get("DVC_ROOT", ".")).resolve() == Path.cwd():
        return ""
    return "; an experiment runs in a copy, without what git ignores: give an absolute path, or `dvc add` the folder"


def _own_splits(images: Images, tops: Sequence[str]) -> dict[str, SplitName]:
    """Folder → split, if these are splits and not classes. Raises ParamsError if they may be either."""
    splits = {top: _SPLITS[top.casefold()] for top in tops if top.casefold() in _SPLITS}
    others = [top for top in tops if top not in splits]
    has_train = "train" in splits.values()
    if len(splits) < 2 or (others and not has_train):
        return {}
    if others or not has_train or len(set(splits.values())) < len(splits):
        must = f"must hold either classes or train, valid and test with the classes in them, not {named(tops)}"
        raise ParamsError("data.images.folder", images.folder, must)
    return splits


def _folders(folder: Path, passed: list[tuple[str, Path]]) -> list[str]:
    names = []
    for entry in entries(folder, passed, refuse=True):
        if entry.is_dir():
            names.append(entry.name)
        else:
            passed.append(("outside of the class folders", Path(entry.path)))
    return names
