"""How a stage starts and ends: one line for what the user can mend, a stack trace only for a bug."""

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from reprotune import inputs
from reprotune.errors import UserError

_GRACE = 10  # seconds


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a stage as Ctrl-C does."""


def run(main: Callable[[], None]) -> None:
    """Exit code 2 for bad input; 130 for Ctrl-C and 143 for SIGTERM, all that was told until then being kept."""
    try:
        signal.signal(signal.SIGTERM, _terminate)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
        if "DVC_STAGE" in os.environ:
            threading.Thread(target=_end_with, args=(_dvc(),), daemon=True).start()
        with inputs.unchanged(_stage()):
            main()
    except (UserError, OSError) as error:
        sys.exit(_refuse(_missing(error) or str(error), 2))
    except KeyboardInterrupt as stop:
        code = 143 if isinstance(stop, _Terminated) else 130
        sys.exit(_refuse("stopped; `dvc repro` goes on from here", code))


def _stage() -> str:
    """Its name in dvc.yaml, if this process is `python -m stages.NAME`."""
    return getattr(sys.modules["__main__"].__spec__, "name", "").removeprefix("stages.")


def _terminate(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the workers are ended on the way out
    last = threading.Timer(_GRACE, os._exit, (143,))  # a library may swallow the exception, and a kill costs nothing
    last.daemon = True
    last.start()
    raise _Terminated


def _missing(error: Exception) -> str:
    """What to do if an output of the pipeline is missing."""
    name = str(error.filename) if isinstance(error, FileNotFoundError) else ""
    made = name.startswith(("data/", "results/"))
    return f"{name}: is not there; `dvc repro` makes it, `dvc pull` fetches it" if made else ""


def _refuse(line: str, code: int) -> int:
    print(f"error: {line}", file=sys.stderr)
    return code


def _dvc() -> psutil.Process | None:
    """The `dvc` that runs this stage, if one does."""
    with contextlib.suppress(psutil.Error):  # it ended meanwhile
        for process in psutil.Process().parents():
            if "dvc" in [Path(word).name for word in process.cmdline()[:3]]:
                return process
    return None


def _end_with(dvc: psutil.Process | None) -> None:
    """A stage whose DVC was killed, maybe before it looked, would go on unseen and be in the way of the next run."""
    if dvc:
        dvc.wait()
    os.kill(os.getpid(), signal.SIGTERM)


def asked(*options: str) -> bool:
    """Whether one of these was given to the stage, or to the `dvc` that runs it, which does not pass them on."""
    dvc = _dvc() if "DVC_STAGE" in os.environ else None
    words = [*sys.argv[1:], *(dvc.cmdline() if dvc else ())]
    letters = {f"-{letter}" for word in words if re.fullmatch("-[a-z]+", word) for letter in word[1:]}  # -fq
    return not letters.union(words).isdisjoint(options)
