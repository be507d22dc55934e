"""`make setup` installs what requirements.txt says, where it is not installed, and nowhere else unasked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

PYTHON = """#!/bin/sh
[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
[ "$1 $2" = "-m pip" ] && echo installed
exit 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project in a git repository, with a `python` that installs nothing but says when it would."""
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def setup(folder: Path, *arguments: str, code: int = 0) -> str:
    """What it says on its last line but make's own; `installed` if it installed something."""
    command = ["make", "-s", "setup", f"PYTHON={folder / 'python'}", *arguments]
    outer = ("MAKE", "MFLAGS", "VENV", "PYTHON", "FORCE")  # of the `make test` that may run this
    own = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    made = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    assert made.returncode == code, made.stderr
    return (made.stdout + made.stderr.partition("\nmake: ")[0]).strip()


def test_it_installs_where_the_content_of_requirements_txt_is_another(folder: Path) -> None:
    assert setup(folder) == "installed"
    os.utime(folder / "requirements.txt")  # as of a fresh clone
    assert setup(folder) == ""
    (folder / "requirements.txt").write_text("dvc==1\n")
    assert setup(folder) == "installed"
    assert setup(folder) == ""


def test_an_environment_of_another_folder_is_not_changed_unasked(folder: Path) -> None:
    assert setup(folder, "VENV=../elsewhere") == "installed"
    assert setup(folder, "VENV=../elsewhere") == ""
    (folder / "requirements.txt").write_text("dvc==1\n")
    refused = (
        "has not what this requirements.txt says, as far as ../elsewhere/installed tells; FORCE=1 installs it there"
    )
    assert setup(folder, "VENV=../elsewhere", code=2) == f"error: VENV = ../elsewhere: {refused}"
    assert setup(folder, "VENV=../elsewhere", "FORCE=1") == "installed"


def test_a_folder_without_git_is_told_so_before_anything_is_fetched(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    assert f"error: {folder}: is no git repository, which DVC needs: `git init` makes it one" in setup(folder, code=2)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config.local").write_text("[core]\nno_scm = true\n")
    assert setup(folder) == "installed"
