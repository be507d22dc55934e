"""The commands, `python -m stages.NAME`: the stages of dvc.yaml, and what checks, repairs and uses their results.

Wiring only; the work is done in `reprotune`.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def _enter_environment() -> None:
    """`.venv/bin/dvc repro` starts whichever `python` is in PATH: if that lacks the libraries, go on as .venv's."""
    missing = [name for name in ("mlflow", "optuna", "psutil", "pydantic", "torch") if not find_spec(name)]
    python = Path(os.environ.get("DVC_ROOT", "."), ".venv/bin/python").absolute()
    if missing and python.exists() and not python.parents[1].samefile(sys.prefix):
        os.execv(python, [str(python), *sys.orig_argv[1:]])  # noqa: S606
    if missing:
        advice = "activate the environment that `make setup` made (`. .venv/bin/activate`)"
        print(f"error: {sys.executable} lacks {', '.join(missing)}; {advice}", file=sys.stderr)
        raise SystemExit(2)


_enter_environment()
