"""`make setup` installs what requirements.txt says, where it is not installed, and nowhere else unasked."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

REQUIREMENTS = (ROOT / "requirements.txt").read_text()

# Only uv itself is asked of pip without what it needs.
PYTHON = """#!/bin/sh
[ -z "$PYTHONPATH$PYTHONDONTWRITEBYTECODE" ] || exit 1
case "$*" in
  "-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip install"*--no-deps*) [ -z "$NO_UV" ] && cp "$FAKE_UV" "$(dirname "$0")/uv" ;;
  "-m pip install"*) echo installed by pip ;;
esac
"""
UV = """#!/bin/sh
echo "$@" >> "$UV_LOG"
[ -n "$UV_FAILS" ] && exit 1
echo installed
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project in a git repository, with a `python` that installs nothing but says when it would."""
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name, content in (("python", PYTHON), ("uv", UV)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "tools").mkdir()
    for tools in (Path("/bin"), Path("/usr/bin")):
        for tool in tools.iterdir():
            if tool.name != "uv":  # as some systems have it there
                (tmp_path / "tools" / tool.name).unlink(missing_ok=True)
                (tmp_path / "tools" / tool.name).symlink_to(tool)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def setup(folder: Path, *arguments: str, code: int = 0, **variables: str) -> str:
    """What it says on its last line but make's own; `installed` (by pip) if something was."""
    command = ["make", "-s", "setup", f"PYTHON={folder / 'python'}", *arguments]
    own = {"PATH": str(folder / "tools"), "FAKE_UV": str(folder / "uv"), "UV_LOG": str(folder / "log"), **variables}
    made = subprocess.run(command, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False)
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


def test_variables_of_other_environments_are_not_passed_on(folder: Path) -> None:
    assert setup(folder, PYTHONPATH="/elsewhere", PYTHONDONTWRITEBYTECODE="1") == "installed"


def test_a_folder_without_git_is_told_so_before_anything_is_fetched(folder: Path) -> None:
    shutil.rmtree(folder / ".git")
    assert f"error: {folder}: is no git repository, which DVC needs: `git init` makes it one" in setup(folder, code=2)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config.local").write_text("[core]\nno_scm = true\n")
    assert setup(folder) == "installed"


def test_uv_installs_where_it_can_be_had_and_pip_elsewhere(folder: Path) -> None:
    assert setup(folder, "VENV=index") == "installed"  # uv, by pip
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(folder / "uv", elsewhere)
    assert setup(folder, "VENV=there", NO_UV="1", PATH=f"{elsewhere}:/usr/bin:/bin") == "installed"
    assert setup(folder, "VENV=none", NO_UV="1").endswith("installed by pip")
    assert setup(folder, "VENV=fails", UV_FAILS="1").endswith("installed by pip")
    for line in (folder / "log").read_text().splitlines():
        assert line.endswith("--require-hashes --requirement requirements.txt")


@pytest.mark.parametrize(("torch", "source"), [("cpu", "--torch-backend cpu"), ("/wheels", "--find-links /wheels")])
def test_torch_without_cuda(folder: Path, torch: str, source: str) -> None:
    assert setup(folder, f"TORCH={torch}") == "installed\ninstalled"
    every, only = (folder / "log").read_text().splitlines()
    assert "--no-deps --require-hashes --requirement /dev/fd/" in every
    pinned = dict(re.findall(r"^(torch|torchvision)==(\S+)", REQUIREMENTS, re.MULTILINE))
    assert source in only
    assert only.endswith(f"torch=={pinned['torch']} torchvision=={pinned['torchvision']}")


def test_what_is_left_out_with_cuda() -> None:
    """Nothing but torch, torchvision and what only they need of CUDA."""
    makefile = (ROOT / "Makefile").read_text()
    (program,) = re.findall(r"^WITHOUT_CUDA = awk '(.+)' requirements.txt$", makefile, re.MULTILINE)
    kept = subprocess.run(
        ["awk", program, ROOT / "requirements.txt"], capture_output=True, text=True, check=True
    ).stdout
    names = [set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)) for text in (REQUIREMENTS, kept)]
    gone = names[0] - names[1]
    assert {"torch", "torchvision", "triton", "nvidia-cublas", "cuda-toolkit"} <= gone
    assert all(name.startswith(("torch", "triton", "nvidia-", "cuda-")) for name in gone)
    assert len(kept.splitlines()) > len(names[1])  # with their hashes
