"""What a Dask worker does with a task: it sees that it is fit for it, has the dataset, and runs it.

A worker that computes with other code or other libraries, or on another processor, would give other bits: it
refuses, whenever it joined. A worker that does not see the coordinator's folder fetches the dataset from the
scheduler, once a machine, and keeps it under its digest.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from reprotune import bits, datasets
from reprotune.artifacts import file_digest, replacing
from reprotune.datasets import DESCRIPTION, StoredDataset
from reprotune.errors import Refused

_PATIENCE = 60  # seconds, for a file to begin to come
_running: dict[str, float] = {}  # the key of the task that runs here → when it began


@dataclass(frozen=True)
class Terms:
    """What all tasks of a coordinator have in common."""

    environment: tuple[tuple[str, str], ...]
    device: str
    folder: Path  # of the dataset, where the coordinator sees it
    digest: str
    source: str  # before the names of the variables in which the scheduler has the dataset's files


@cache
def environment(device: str) -> Mapping[str, str]:
    """What a coordinator and its workers must agree on: the code, the libraries, the arithmetic."""
    code = {f"reprotune/{path.name}": file_digest(path)[:12] for path in sorted(Path(__file__).parent.glob("*.py"))}
    return code | bits.arithmetic(device)


def run(terms: Terms | None, task: bytes) -> Any:
    """Run a pickled task. Raises Refused, which names this worker. terms: None if they go without saying."""
    from distributed import get_worker
    from distributed.protocol.pickle import loads

    if terms:
        _accept(terms)
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
def _accept(terms: Terms) -> None:
    from distributed import get_worker

    me = get_worker()
    if me.state.nthreads != 1:  # torch's random numbers belong to the process
        raise Refused(f"worker {me.address}: has {me.state.nthreads} threads; start it with --nthreads 1")
    expected, here = dict(terms.environment), environment(terms.device)
    names = sorted(expected.keys() | here.keys())
    differing = [
        f"{n}: {here.get(n, 'none')}, not {expected.get(n, 'none')}" for n in names if here.get(n) != expected.get(n)
    ]
    if differing:
        raise Refused(f"worker {me.address}: differs from its coordinator ({'; '.join(differing)})")
    if not _holds(terms.folder, terms.digest):
        kept = Path(me.local_directory).parent / "reprotune" / terms.digest
        _fetch(terms, kept)
        datasets.MOVED[terms.digest] = kept


def _holds(folder: Path, digest: str) -> bool:
    """Whether the dataset is there, and whole."""
    try:
        dataset = StoredDataset(folder)
        if dataset.digest == digest:
            dataset.verify()
            return True
    except (OSError, Refused):
        pass
    return False


def _fetch(terms: Terms, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # the workers of one machine fetch it once
        if _holds(folder, terms.digest):
            return
        paths = [folder / DESCRIPTION]
        for path in paths:  # the first of them says which others there are
            with replacing(path) as temporary:
                temporary.write_bytes(_content(f"{terms.source}/{path.name}"))
            paths[1:] = StoredDataset(folder).files[1:]
        if not _holds(folder, terms.digest):
            raise Refused(f"{folder}: is not the dataset that was sent; see whether its disk is full or failing")


def _content(name: str) -> bytes:
    from distributed import Variable

    try:
        return bytes(Variable(name).get(timeout=_PATIENCE))
    except TimeoutError:
        raise Refused(f"{name}: does not come from the scheduler within {_PATIENCE} s") from None
