"""How a stage starts and ends: one line for what the user can mend, a stack trace only for a bug."""

import atexit
import contextlib
import errno
import gc
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import psutil

from reprotune import inputs
from reprotune.environment import isolate
from reprotune.errors import UserError

_GRACE = 10  # seconds
_WITH_VALUE = "CSjmn"  # those options of `dvc exp run` that have one


class _Terminated(KeyboardInterrupt):
    """A signal that ends a stage as Ctrl-C does."""


def run(main: Callable[[], None]) -> None:
    """Exit code 2 for bad input. What a signal stops keeps all that was told until then: 130 for Ctrl-C, 143 for
    SIGTERM, 129 for SIGHUP, as when its terminal is closed, 141 for a closed pipe.
    """
    # Among what is imported is no garbage: looking for it takes a tenth of the imports' time, and again as it ends.
    gc.set_threshold(200_000)
    atexit.register(gc.freeze)
    try:
        isolate()
        signal.signal(signal.SIGTERM, _terminate)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup does
            signal.signal(signal.SIGHUP, _terminate)
        if "DVC_STAGE" in os.environ:
            threading.Thread(target=_end_with, args=(_starter(),), daemon=True).start()
        with inputs.unchanged(_stage() if "DVC_STAGE" in os.environ else ""):  # nobody else records them
            try:
                main()
            finally:
                sys.stdout.flush()  # a closed pipe or a full disk is told here; Python would tell it as it ends
    except BrokenPipeError:  # `… | head`
        sys.exit(_refuse("stopped, because its output was closed; `dvc repro` goes on from here", 141))
    except (UserError, OSError) as error:
        sys.exit(_refuse(_what_to_do(error) or str(error), 2))
    except KeyboardInterrupt as stop:
        code = 128 + stop.args[0] if isinstance(stop, _Terminated) else 130
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # pressed again, it would break what is done on the way out
        _end_at_last(code)
        sys.exit(_refuse("stopped; `dvc repro` goes on from here", code))


def _stage() -> str:
    """Its name in dvc.yaml, if this process is `python -m stages.NAME`."""
    return getattr(sys.modules["__main__"].__spec__, "name", "").removeprefix("stages.")


def _terminate(number: int, _: object) -> None:
    for other in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # once is enough: the workers are ended on the way out
    _end_at_last(128 + number)  # a library may swallow the exception, and a kill costs nothing
    raise _Terminated(number)


def _end_at_last(code: int) -> None:
    last = threading.Timer(_GRACE, os._exit, (code,))
    last.daemon = True
    last.start()


def _what_to_do(error: Exception) -> str:
    """If there is no room for an output of the pipeline, or one is missing."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error}; make room, and `dvc repro` goes on from here"
    name = str(error.filename) if isinstance(error, FileNotFoundError) else ""
    made = name.startswith(("data/", "results/"))
    lost = "git checkout" if name.endswith("metrics.json") else "dvc checkout"  # DVC deletes it, then may be refused
    back = f"`dvc repro` makes it, `{lost} {name}` brings the last run's back, `dvc pull` fetches it"
    return f"{name}: is not there; {back}" if made else ""


def _refuse(line: str, code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError:  # what it still holds has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"error: {line}", file=sys.stderr, flush=True)
    return code


def _starter() -> psutil.Process | None:
    """What runs this stage; None if that is gone.

    DVC names the stage in a variable of all that it starts: so it is the nearest process above that was started
    without it, be it `dvc`, a notebook's kernel, or a shell of a user who set the variable. What a process of another
    session adopted has lost it.
    """
    stage, session, below = os.environ["DVC_STAGE"], os.getsid(0), {os.getpid()}
    with contextlib.suppress(psutil.Error, OSError):  # it ended meanwhile
        for process in psutil.Process().parents():
            if _variable(process, "DVC_STAGE") != stage:
                return process if session in below or os.getsid(process.pid) == session else None
            below.add(process.pid)
    return None


def _variable(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except psutil.AccessDenied:  # another user's
        return None


def _end_with(starter: psutil.Process | None) -> None:
    """A stage whose DVC was killed, maybe before it looked, would go on unseen and be in the way of the next run."""
    if starter:
        starter.wait()
    os.kill(os.getpid(), signal.SIGTERM)


def asked(*options: str) -> bool:
    """Whether one of these was given to the stage, or to the `dvc` that runs it, which does not pass them on."""
    words = sys.argv[1:] + (_told_dvc() or [])
    # -fq; what follows on a letter of _WITH_VALUE is its value: -nfoo
    grouped = (found[1] for word in words if (found := re.fullmatch(f"-([a-zA-Z]*?)(?:[{_WITH_VALUE}].*)?", word)))
    letters = {f"-{letter}" for group in grouped for letter in group}
    return not letters.union(words).isdisjoint(options)


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Nothing is printed meanwhile but errors, if the user asked for that."""
    if asked("-q", "--quiet"):
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
            yield
    else:
        if "DVC_STAGE" in os.environ and _told_dvc() is None:
            print("run from Python, whose `-f` and `-q` do not reach a stage: those of `python -m dvc repro -f` do")
        yield


def _told_dvc() -> list[str] | None:
    """The options in `… repro OPTION…`, `… exp run OPTION…` or the queue's `… exp exec-run`, the command line of the
    DVC that runs this stage; None if there is none, as when a Python program calls DVC: a notebook's kernel has others.
    """
    words: list[str] = []
    if "DVC_STAGE" in os.environ and (starter := _starter()):
        with contextlib.suppress(psutil.Error):
            words = starter.cmdline()
    return next((words[at:] for at, word in enumerate(words) if word in ("repro", "run", "exec-run")), None)
