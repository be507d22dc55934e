"""What a Dask worker does with a task: it sees that it is fit for it, has the dataset's files, and runs it.

A worker that computes with other code or other libraries, or on another processor, would give other bits: it
refuses, whenever it joined. A worker that does not see the coordinator's folder fetches its files from the
scheduler, once a machine, and keeps them under their digest.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import reprotune
from reprotune.arithmetic import kernels
from reprotune.artifacts import SharedFiles, atomic_write, file_digest, locked
from reprotune.errors import UserError

_PATIENCE = 60  # seconds, for a file to begin to come
_running: dict[str, float] = {}  # the key of the task that runs here → when it began


@dataclass(frozen=True)
class Requirements:
    """What a worker must have before it runs a coordinator's tasks."""

    environment: tuple[tuple[str, str], ...]
    device: str
    data: SharedFiles
    source: str  # before the names of the variables in which the scheduler has the files


@cache
def environment(device: str) -> Mapping[str, str]:
    """What a coordinator and its workers must agree on: the code, the libraries, the arithmetic."""
    package = Path(reprotune.__file__).parent
    files = sorted(package.rglob("*.py"))
    code = {path.relative_to(package.parent).as_posix(): file_digest(path)[:12] for path in files}
    return code | kernels.environment(device)


def run(required: Requirements | None, task: bytes) -> Any:
    """Run a pickled task. Raises UserError, which names this worker. required: None if it goes without saying."""
    from distributed import get_worker
    from distributed.protocol.pickle import loads

    if required:
        _accept(required)
    key = get_worker().get_current_task()
    _running[key] = time.monotonic()
    try:
        return loads(task)()
    finally:
        del _running[key]


def running() -> dict[str, float]:
    """The key of what this worker runs → for how many seconds it has."""
    return {key: time.monotonic() - began for key, began in _running.items()}


@lru_cache(maxsize=1)
def _accept(required: Requirements) -> None:
    from distributed import get_worker

    me = get_worker()
    if me.state.nthreads != 1:  # torch's random numbers belong to the process
        raise UserError(f"worker {me.address}: has {me.state.nthreads} threads; start it with --nthreads 1")
    expected, here = dict(required.environment), environment(required.device)
    names = sorted(expected.keys() | here.keys())
    differing = [
        f"{n}: {here.get(n, 'none')}, not {expected.get(n, 'none')}" for n in names if here.get(n) != expected.get(n)
    ]
    if differing:
        raise UserError(f"worker {me.address}: differs from its coordinator ({'; '.join(differing)})")
    data = required.data
    if not _holds(data.folder, data):
        kept = Path(me.local_directory).parent / "reprotune" / data.digest
        _fetch(required, kept)
        data.relocate(data.digest, kept)


def _holds(folder: Path, data: SharedFiles) -> bool:
    """Whether the files are there, and whole."""
    try:
        return all(file_digest(folder / name) == expected for name, expected in data.files)
    except OSError:
        return False


def _fetch(required: Requirements, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The workers of one machine fetch them once.
    with locked(folder.with_suffix(".lock"), "another worker fetches the dataset", 10 * _PATIENCE):
        if _holds(folder, required.data):
            return
        for name, _ in required.data.files:
            with atomic_write(folder / name) as temporary:
                temporary.write_bytes(_content(f"{required.source}/{name}"))
        if not _holds(folder, required.data):
            raise UserError(f"{folder}: is not the dataset that was sent; see whether its disk is full or failing")


def _content(name: str) -> bytes:
    from distributed import Variable

    try:
        return bytes(Variable(name).get(timeout=_PATIENCE))
    except TimeoutError:
        raise UserError(f"{name}: does not come from the scheduler within {_PATIENCE} s") from None
