"""What dvc.lock records of results/: one digest of it all, and whether what lies there is of one run."""

import hashlib
import json
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from reprotune import artifacts
from reprotune.environment import git
from reprotune.errors import PARAMS, UserError

LOCK = Path("dvc.lock")
CHANGED = "missing, or not what it was at the last report: a stage ran alone or was stopped; `dvc repro` mends it"
_LAST = ("evaluate", "report")
_REPORT = "results/report.html"  # the last file, also before any run has recorded it
_Stages = Mapping[str, Mapping[str, Any]]


def of_files() -> str:
    """Of what lies in results/ now. Raises UserError if a part is missing, or if no run has made any."""
    if not LOCK.exists():
        raise UserError(f"{LOCK}: is not there; `dvc repro` makes it")
    if not (made := _outs(_stages(LOCK.read_text(encoding="utf-8")))):
        raise UserError(f"{LOCK}: has no results; `dvc repro` makes them")
    return artifacts.digest({path.as_posix(): _md5(path) for path in map(Path, made)})


def of_commit(revision: str = "HEAD") -> str | None:
    """Of what the commit's dvc.lock records; None if this is no git checkout, or the commit has no results."""
    lock = git("show", f"{revision}:./{LOCK}")
    made = _outs(_stages(lock)) if lock else {}
    return artifacts.digest(made) if made else None


def changed() -> Path | None:
    """What is missing, or not as the evaluation and the report found or made it: they are of other results than lie
    beside them, since a stage ran alone or was interrupted. None if there is nothing such.
    """
    last = [stage for name, stage in _here().items() if name in _LAST]
    files = [file for stage in last for kind in ("deps", "outs") for file in _files(stage, kind)]
    paths = [(Path(name), recorded) for name, recorded in [(_REPORT, ""), *files]]
    return next((path for path, recorded in paths if not path.exists() or recorded not in ("", _md5(path))), None)


def changed_param() -> str | None:
    """A key of params.yaml that is not as the evaluation or the report had it."""
    last, now = [stage for name, stage in _here().items() if name in _LAST], artifacts.read_yaml(PARAMS)
    had = [pair for stage in last for pair in stage.get("params", {}).get(str(PARAMS), {}).items()]
    return next((f"{PARAMS}: {key}" for key, value in had if reduce(_at, key.split("."), now) != value), None)


def _at(section: Any, key: str) -> Any:
    return section.get(key) if isinstance(section, Mapping) else None


def _here() -> _Stages:
    return _stages(LOCK.read_text(encoding="utf-8")) if LOCK.exists() else {}


def _stages(lock: str) -> _Stages:
    """Name → what a dvc.lock of this content says of it."""
    try:
        found: _Stages = YAML(typ="safe").load(lock).get("stages", {})
        _outs(found)
    except (*artifacts.NOT_YAML, AttributeError, TypeError):  # as a merge may leave it
        raise UserError(
            f"{LOCK}: is not as DVC writes it; `git checkout {LOCK}` brings the last commit's back"
        ) from None
    return found


def _outs(of: _Stages) -> Mapping[str, str]:
    """Path → md5, of all that these stages put into results/."""
    return {path: recorded for stage in of.values() for path, recorded in _files(stage, "outs")}


def _files(stage: Mapping[str, Any], kind: str) -> list[tuple[str, str]]:
    """(path, md5) of its deps or outs in results/."""
    return [(file["path"], file["md5"]) for file in stage.get(kind, ()) if file["path"].startswith("results/")]


def _md5(path: Path) -> str:
    """As DVC has it: of a file's bytes; of a folder, of the list of its files."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listed = [{"md5": _md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return f"{hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest()}.dir"
