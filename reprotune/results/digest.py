"""One digest of all that `dvc repro` put into results/: of the files as they are, and as a commit has them; and
whether these files belong together.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from ruamel.yaml import YAML

from reprotune import artifacts
from reprotune.environment import git
from reprotune.errors import UserError

LOCK = Path("dvc.lock")
_LAST = ("evaluate", "report")
_REPORT = "results/report.html"  # the last file, also before any run has recorded it


def of_files() -> str:
    """Of what lies in results/ now. Raises UserError if a part is missing, or if no run has made any."""
    if not LOCK.exists():
        raise UserError(f"{LOCK}: is not there; `dvc repro` makes it")
    if not (outs := _outs(LOCK.read_text(encoding="utf-8"))):
        raise UserError(f"{LOCK}: has no results; `dvc repro` makes them")
    return artifacts.digest({path.as_posix(): _md5(path) for path in map(Path, outs)})


def of_commit(revision: str = "HEAD") -> str | None:
    """Of what the commit's dvc.lock records; None if this is no git checkout, or the commit has no results."""
    lock = git("show", f"{revision}:./{LOCK}")
    outs = _outs(lock) if lock else {}
    return artifacts.digest(outs) if outs else None


def changed() -> Path | None:
    """What is missing, or not as the evaluation and the report found or made it: they are of other results than lie
    beside them, since a stage ran alone or was interrupted. None if there is nothing such.
    """
    lock = LOCK.read_text(encoding="utf-8") if LOCK.exists() else "{}"
    files = {_REPORT: "", **_recorded(lock, "deps", _LAST), **_recorded(lock, "outs", _LAST)}
    paths = {Path(name): md5 for name, md5 in files.items()}
    return next((path for path, md5 in paths.items() if not path.exists() or md5 not in ("", _md5(path))), None)


def _outs(lock: str) -> Mapping[str, str]:
    return _recorded(lock, "outs")


def _recorded(lock: str, kind: str, only: Collection[str] = ()) -> Mapping[str, str]:
    """Path → md5, of all in results/ that the stages, or only these, have as deps or as outs."""
    try:
        stages = YAML(typ="safe").load(lock).get("stages", {}).items()
        entries = [stage.get(kind, ()) for name, stage in stages if not only or name in only]
        files = {file["path"]: file["md5"] for entry in entries for file in entry}
        return {path: md5 for path, md5 in files.items() if path.startswith("results/")}
    except (*artifacts.NOT_YAML, AttributeError, TypeError):  # as a merge may leave it
        raise UserError(
            f"{LOCK}: is not as DVC writes it; `git checkout {LOCK}` brings the last commit's back"
        ) from None


def _md5(path: Path) -> str:
    """As DVC has it: of a file's bytes; of a folder, of the list of its files."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listed = [{"md5": _md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    return f"{hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest()}.dir"
