"""A stage that begins: by another Python than the project's, told to be quiet, or stopped at once."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, InlineExecutor, committed, make_params, run
from optuna.storages import JournalStorage
from test_cli import STOPPED

from reprotune import params
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.execution import engines
from reprotune.search.study import declaration
from stages import dashboard, download, evaluate, multi_objective, report, single_objective


def started_without_libraries(root: Path) -> "subprocess.CompletedProcess[str]":
    """`dvc repro` of this root, with a `python` in PATH that has nothing installed."""
    command, variables = [sys.executable, "-S", "-m", "stages.download", "-f"], os.environ | {"DVC_ROOT": str(root)}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


def test_it_goes_on_as_the_python_of_the_environment(tmp_path: Path) -> None:
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho now: $@\n")
    python.chmod(0o755)
    assert started_without_libraries(tmp_path).stdout == "now: -S -m stages.download -f\n"


def test_without_an_environment_it_says_what_to_do(tmp_path: Path) -> None:
    stage = started_without_libraries(tmp_path)
    lacks = "lacks mlflow, optuna, psutil, pydantic, torch; activate the environment that `make setup` made"
    assert (stage.returncode, stage.stderr.splitlines()) == (
        2,
        [f"error: {sys.executable} {lacks} (`. .venv/bin/activate`)"],
    )


INTERRUPTED = """
import os, signal, time
os.kill(os.getpid(), signal.SIGINT)
time.sleep(60)
"""
# To all that the stage starts, from the first moment on; at last to the stage, too.
AS_WORKERS_START = """
import contextlib, os, signal, threading, time
import psutil
from reprotune import cli, params
from reprotune.execution import engines

def interrupt():
    while True:
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.send_signal(signal.SIGINT)
                child.send_signal(signal.SIGHUP)
        time.sleep(0.01)

def main():
    with engines.started(params.load().execution.model_copy(update={"workers": 1})) as pool:
        threading.Thread(target=interrupt, daemon=True).start()
        pool.submit(os.getpid).result()
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()

if __name__ == "__main__":
    cli.run(main)
"""


@pytest.mark.parametrize("code", [INTERRUPTED, AS_WORKERS_START], ids=["imports", "workers"])
def test_ctrl_c_as_it_starts_is_told_in_one_line(tmp_path: Path, code: str) -> None:
    (tmp_path / "stages").mkdir()
    shutil.copy(ROOT / "stages/__init__.py", tmp_path / "stages")
    (tmp_path / "stages/begins.py").write_text(code)
    (tmp_path / "reprotune").symlink_to(ROOT / "reprotune")
    (tmp_path / "params.yaml").write_text(committed("params.yaml"))
    command = [sys.executable, "-m", "stages.begins"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **pipes) as stage:  # type: ignore[call-overload]
        printed = stage.communicate(timeout=60)  # until the last of what it started has closed the pipes
    assert (stage.returncode, printed) == (130, ("", STOPPED))


def test_ctrl_c_is_still_seen_by_what_imports_a_stage() -> None:
    assert getattr(signal.getsignal(signal.SIGINT), "__module__", "") != "stages"  # but as it was before


STAGES = {
    download: "data/mnist_5k: is made from the original files",
    single_objective: "12 trials, tpe + median, 1 worker",
    multi_objective: "12 trials, tpe + pareto, 1 worker",
    evaluate: "5 × each best config and the default, trained on train + valid, 1 worker",
    report: "figures, advice and results/report.html, from the files in results/",
}


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_it_says_at_once_what_it_does_unless_it_is_to_be_quiet(
    stage: Any, quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it has no data, and is refused after that; `download` prints what it has made, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage", *(["-q"] if quiet else [])])
    monkeypatch.setattr(params, "load", partial(make_params, execution__workers=1))
    monkeypatch.setattr(engines, "started", lambda _: contextlib.nullcontext(InlineExecutor()))
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(UserError):
        stage.main()
    lines = printed.getvalue().splitlines()
    assert lines[:1] == ([] if quiet else [STAGES[stage]])
    assert (Path("data/mnist_5k").exists(), len(lines)) == (stage is download, 0 if quiet else 1 + (stage is download))


def test_the_dashboard_shows_a_journal_that_took_anothers_place(dataset: StoredDataset, tmp_path: Path) -> None:
    """As `dvc repro -f` and `make retry` have it, while it runs."""
    declared = declaration.from_params(make_params(single_objective__n_trials=3), "single_objective", dataset)
    storage = JournalStorage(dashboard.Journals(tmp_path / "studies"))

    def shown() -> list[int]:
        return [len(storage.get_all_trials(study._study_id)) for study in storage.get_all_studies()]

    assert shown() == []
    path = tmp_path / declared.journal
    run(declared, tmp_path)
    assert shown() == [3]
    path.rename(path.with_suffix(".previous"))
    run(replace(declared, n_trials=2), tmp_path)
    assert shown() == [2]
    run(replace(declared, n_trials=4), tmp_path)
    assert shown() == [4]
