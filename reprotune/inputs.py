"""What a stage was given, by dvc.yaml: its params and its deps; and whether they are still so when it ends.

DVC records both after the stage. What was edited meanwhile would be recorded beside results that it did not make,
and the next `dvc repro` would pass over it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reprotune.artifacts import NOT_YAML, file_digest, flat, read_yaml
from reprotune.errors import PARAMS, UserError, named

_LARGE = 2**20  # bytes, from which on the time of its last change stands for a file's content


@contextmanager
def unchanged(stage: str) -> Iterator[None]:
    """Raises UserError at its end if what the stage was given is no longer what is there."""
    given = _given(stage)
    yield
    now = _given(stage)
    changed = [name for name in {**given, **now} if given.get(name) != now.get(name)]
    if changed:
        kept = "what was trained is kept; `dvc repro` goes on from it, or runs what is there now"
        raise UserError(f"{named(changed, 3)}: changed while this stage ran; {kept}")


def _given(stage: str) -> dict[str, Any]:
    """A key of params.yaml → its value, a file → what stands for its content; empty if dvc.yaml has no such stage."""
    try:
        declared = read_yaml(Path("dvc.yaml"))["stages"].get(stage, {})
        params = dict(flat(read_yaml(PARAMS)))
        deps = [re.sub(r"\$\{(.+?)\}", lambda found: str(params[found[1]]), dep) for dep in declared.get("deps", ())]
    except (OSError, *NOT_YAML, AttributeError, TypeError):  # the stage itself says so
        return {}
    keys = tuple(f"{key}." for key in declared.get("params", ()))
    own = {f"{PARAMS}: {key}": value for key, value in params.items() if f"{key}.".startswith(keys)}
    return own | dict(file for dep in deps for file in _files(Path(dep)))


def _files(path: Path) -> Iterator[tuple[str, Any]]:
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if "__pycache__" not in file.parts and file.is_file():
            found = file.stat()
            yield str(file), file_digest(file) if found.st_size < _LARGE else (found.st_size, found.st_mtime_ns)
