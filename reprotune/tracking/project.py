"""Whose runs these are: the project's folder, as those that share an MLflow server tell it from others."""

import os
import socket
from pathlib import Path
from uuid import uuid4

from reprotune.artifacts import locked


def root() -> Path:
    """The repository's folder, also for `dvc exp run --temp`, which works in a copy of it."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def place() -> str:
    """Where it is, for a person."""
    return f"{socket.gethostname()}:{root()}"


def mark() -> str:
    """Stays with the folder when that is moved or renamed; a copy has another, as the inode of its file is another."""
    path = root() / ".dvc/tmp/reprotune"  # which git does not see
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock"), "another process marks this folder", 60):
        path.touch()
        inode = str(path.stat().st_ino)
        found, _, owner = path.read_text(encoding="utf-8").partition(" ")
        if owner != inode:
            found = uuid4().hex[:12]
            path.write_text(f"{found} {inode}", encoding="utf-8")
        return found
