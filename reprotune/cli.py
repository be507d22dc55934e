"""How a stage starts and ends: one line for what the user can mend, a stack trace only for a bug."""

import signal
import sys
from collections.abc import Callable

import psutil

from reprotune.errors import Refused


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a stage as Ctrl-C does."""


def run(main: Callable[[], None]) -> None:
    """Exit code 2 for bad input; 130 for Ctrl-C and 143 for SIGTERM, all that was told until then being kept."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except (Refused, OSError) as error:
        sys.exit(_refuse(str(error), 2))
    except KeyboardInterrupt as stop:
        code = 143 if isinstance(stop, _Terminated) else 130
        sys.exit(_refuse("stopped; all finished trials are kept, and `dvc repro` goes on from here", code))


def _terminate(*_: object) -> None:
    raise _Terminated


def _refuse(line: str, code: int) -> int:
    print(f"error: {line}", file=sys.stderr)
    return code


def forced() -> bool:
    """Whether `dvc … --force` runs this stage; DVC does not tell its stages in another way."""
    commands = [parent.cmdline() for parent in psutil.Process().parents()]
    return any({"-f", "--force"} & set(command) for command in commands if any("dvc" in word for word in command))
