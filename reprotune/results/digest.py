"""One digest of all that `dvc repro` put into results/: of the files as they are, and as a commit has them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML

from reprotune import artifacts
from reprotune.environment import git
from reprotune.errors import UserError

LOCK = Path("dvc.lock")


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


def _outs(lock: str) -> Mapping[str, str]:
    """Path → md5, of all that the pipeline puts into results/."""
    try:
        stages = YAML(typ="safe").load(lock).get("stages", {}).values()
        outs = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ())}
        return {path: md5 for path, md5 in outs.items() if path.startswith("results/")}
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
