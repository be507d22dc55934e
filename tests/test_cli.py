"""How a stage ends: by which code, and with which line."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from reprotune import cli

SLEEPS = """
import time
from reprotune import cli

def main():
    print("started", flush=True)
    time.sleep(600)

cli.run(main)
"""
SWALLOWS = """
import time
from reprotune import cli

cli._GRACE = 0.5

def main():
    while True:
        try:
            print("started", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            pass

cli.run(main)
"""
FAILS = """
from reprotune import cli
from reprotune.errors import UserError

def main():
    print("started", flush=True)
    raise {error}

cli.run(main)
"""

PRINTS = """
import os
from pathlib import Path
from reprotune import cli

def main():
    with Path("kept").open("w") as file:
        print("printed", flush=True)
        for number in (1, 2):
            os.write(number, b"by a library")
        file.write("whole")

cli.run(main)
"""
TALKS = """
from reprotune import cli

def main():
    while True:
        print("a line", flush=True)

cli.run(main)
"""

BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ROOM = "make room, and `dvc repro` goes on from here"
STOPPED = "error: stopped; `dvc repro` goes on from here\n"


def ended(code: str, by: int | None = None) -> tuple[int, str]:
    """(exit code, what was printed to stderr) of a stage, to which a signal is sent once it works."""
    heeding = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"  # which `nohup make test` would not
    command = [sys.executable, "-c", f"{heeding}\n{code}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        if by:
            process.send_signal(by)
        _, printed = process.communicate(timeout=60)
        return process.returncode, printed


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_with_one_line_and_the_usual_code(number: int, code: int) -> None:
    assert ended(SLEEPS, number) == (code, STOPPED)


STARTER = """
import os, subprocess, sys
subprocess.run(sys.argv[1:], env=os.environ | {"DVC_STAGE": "x", "STARTER": str(os.getpid())})
"""
LATE = """
import os, time
print("not yet", flush=True)
try:
    while True:
        os.kill(int(os.environ["STARTER"]), 0)
        time.sleep(0.01)
except ProcessLookupError:
    pass
"""
IN_A_SHELL = ("sh", "-c", '"$0" "$@"; true')  # which waits for the stage, and does not become it


@contextlib.contextmanager
def started(*command: str) -> Iterator["subprocess.Popen[str]"]:
    """What a starter, named nothing like DVC, runs in its session; one pipe for all that they print."""
    words = [sys.executable, "-c", STARTER, *command]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words, cwd=ROOT, start_new_session=True, **pipes) as starter:
        yield starter
        starter.kill()


@pytest.mark.parametrize("shell", [(), IN_A_SHELL], ids=["", "shell"])
@pytest.mark.parametrize(("code", "begins"), [(SLEEPS, "started\n"), (LATE + SLEEPS, "not yet\n")], ids=["", "late"])
def test_it_ends_if_what_started_it_is_killed_maybe_before_it_looked(
    code: str, begins: str, shell: tuple[str, ...]
) -> None:
    with started(*shell, sys.executable, "-c", code) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == begins
        starter.kill()
        starter.wait()
        printed, _ = starter.communicate(timeout=60)  # until the stage has closed the pipe
        assert printed.removeprefix("started\n") == STOPPED


TOLD = """
import time
from reprotune import cli

def main():
    time.sleep(1)
    with cli.hushed():
        print("begins")
    print(cli.asked("-f", "--force"), cli.asked("-q", "--quiet"))

cli.run(main)
"""


FROM_PYTHON = "run from Python, whose `-f` and `-q` do not reach a stage: those of `python -m dvc repro -f` do"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["repro", "-f"], "begins\nTrue False\n"),
        (["exp", "run", "--quiet", "-S", "seed=1"], "False True\n"),
        (["exp", "exec-run", "--infofile", "x.run"], "begins\nFalse False\n"),  # of the queue
        (["-f", "kernel.json"], f"{FROM_PYTHON}\nbegins\nFalse False\n"),  # of a notebook
    ],
)
def test_what_starts_it_may_be_called_anything(words: list[str], told: str) -> None:
    starter = "import os, subprocess, sys; subprocess.run(sys.argv[1:3] + [os.environ['TOLD']])"
    environment = os.environ | {"TOLD": TOLD}
    wrapped = f"import os; os.environ['DVC_STAGE'] = 'x'; {starter}"
    command = [sys.executable, "-X", "utf8", "-c", wrapped, sys.executable, "-c", *words]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (found.stdout, found.stderr) == (told, "")


def test_it_runs_where_a_user_set_dvcs_variable() -> None:
    environment = os.environ | {"DVC_STAGE": "single_objective"}
    command = [sys.executable, "-c", TOLD]
    stage = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (stage.returncode, stage.stderr) == (0, "")


def test_ctrl_c_pressed_again_as_it_ends_breaks_nothing() -> None:
    again = "import atexit, os; atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))"
    assert ended(f"{again}\n{SLEEPS}", signal.SIGINT) == (130, STOPPED)


def test_it_ends_even_if_a_library_swallows_the_signal() -> None:
    assert ended(SWALLOWS, signal.SIGTERM) == (143, "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("UserError('params.yaml: seed = -1: must be more')", "error: params.yaml: seed = -1: must be more\n"),
        (
            "OSError(28, 'No space left on device', 'x.csv')",
            f"error: [Errno 28] No space left on device: 'x.csv'; {ROOM}\n",
        ),
        (
            "FileNotFoundError(2, 'No such file or directory', 'results/x.csv')",
            "error: results/x.csv: is not there; `dvc repro` makes it, `dvc checkout results/x.csv` brings the last "
            "run's back, `dvc pull` fetches it\n",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line(error: str, line: str) -> None:
    assert ended(FAILS.format(error=error)) == (2, line)


def test_a_bug_is_a_stack_trace() -> None:
    code, printed = ended(FAILS.format(error="ZeroDivisionError()"))
    assert code == 1
    assert printed.startswith("Traceback")


@pytest.mark.parametrize(
    ("words", "force", "quiet"),
    [
        (["-f"], True, False),
        (["--quiet"], False, True),
        (["-fq"], True, True),
        (["--single-item", "-sP"], False, False),
        (["-Pf"], True, False),
        (["-qn", "fast"], False, True),
        (["-nfq", "-mfq", "-j4", "-Sq=1"], False, False),
    ],
)
def test_options_are_seen_alone_and_together(
    monkeypatch: pytest.MonkeyPatch, words: list[str], force: bool, quiet: bool
) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.setattr(sys, "argv", ["stage", *words])
    assert (cli.asked("-f", "--force"), cli.asked("-q", "--quiet")) == (force, quiet)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_a_stage_was_not_given_to_print_to_is_no_file_of_its_own(tmp_path: Path, closed: str) -> None:
    """As a service or a scheduler starts it: the next file that is opened takes the place of a closed stream."""
    command = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, PRINTS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    stage = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert stage.returncode == 0, stage.stderr
    assert (tmp_path / "kept").read_text() == "whole"
    assert stage.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "printed\nby a library")


@pytest.mark.parametrize("end", ["", "sys.exit(1)"])
def test_a_full_disk_that_is_seen_at_the_end(end: str) -> None:
    code = f"import sys\nfrom reprotune import cli\n\ndef main():\n    print('a line')\n    {end}\n\ncli.run(main)"
    with Path("/dev/full").open("w") as full:
        command, pipes = [sys.executable, "-c", code], {"stdout": full, "stderr": subprocess.PIPE}
        stage = subprocess.run(command, cwd=ROOT, env=BUFFERED, **pipes, text=True, check=False)  # type: ignore[call-overload]
    assert (stage.returncode, stage.stderr) == (2, f"error: [Errno 28] No space left on device; {ROOM}\n")


def test_it_says_that_nobody_reads_what_it_prints() -> None:
    """As in `make repro | head`."""
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", TALKS], cwd=ROOT, env=BUFFERED, **pipes) as stage:
        assert stage.stdout is not None
        assert stage.stderr is not None
        assert stage.stdout.readline() == "a line\n"
        stage.stdout.close()
        told = stage.stderr.read()
    assert (stage.returncode, told) == (
        141,
        "error: stopped, because its output was closed; `dvc repro` goes on from here\n",
    )
