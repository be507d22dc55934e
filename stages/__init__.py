"""The commands, `python -m stages.NAME`: the stages of dvc.yaml, and what checks, repairs and uses their results.

Wiring only; the work is done in `reprotune`.
"""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path


def _stop(*_: object) -> None:
    """Ctrl-C before `cli.run`, which says the same then: Python would print where in an import it came."""
    os.write(2, b"error: stopped; `dvc repro` goes on from here\n")
    os._exit(130)


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


if sys.argv[0] == "-m":  # this process is to be a stage, and only looks for it yet
    signal.signal(signal.SIGINT, _stop)
_enter_environment()
