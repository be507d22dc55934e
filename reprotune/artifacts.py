"""Files: written to a temporary name, then renamed, so that none is ever seen half-written; and digests."""

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from reprotune.errors import UserError

# For a text that is none, and for a value of it that is none: 2020-02-30, !!int x.
NOT_YAML = (YAMLError, ValueError, LookupError, AssertionError, RecursionError)
_UNNOTICED = 1  # second, for which nobody need be told of a wait


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to it at the end, removed if the body raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, holder: str, patience: float) -> Iterator[None]:
    """For this process alone; the system frees what a killed one held. Says so if it waits.

    Raises UserError after `patience` seconds. holder: what has it meanwhile, for a person.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=min(patience, _UNNOTICED))
    except Timeout:
        print(f"{path}: {holder}; waiting for it, up to {patience:g} s", file=sys.stderr, flush=True)
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise UserError(f"{path}: {holder}; wait for it or stop it") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def write_json(path: Path, value: Any) -> None:
    with _text(path) as file:
        json.dump(value, file, indent=2, allow_nan=False, ensure_ascii=False)
        file.write("\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_yaml(path: Path, value: Any) -> None:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    with _text(path) as file:
        yaml.dump(value, file)


def read_yaml(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return YAML(typ="safe", pure=True).load(file)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """None becomes an empty cell; a float is written so that it reads back to the same bits."""
    with _text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """{"a": {"b": 1}} → ("a.b", 1), as `dvc params diff` names them."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def digest(value: Any) -> str:
    """sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class SharedFiles:
    """Files that tasks read, wherever they run."""

    folder: Path  # where the process that gives the tasks sees them
    files: tuple[tuple[str, str], ...]  # name, sha256
    digest: str  # of all of them
    relocate: Callable[[str, Path], None]  # (digest, folder): told to a process that has them in another folder
