"""A stage that is started by another Python than the project's."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT


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
