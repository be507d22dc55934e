"""Whatever a user's environment holds, a stage draws, tracks and says the same."""

import getpass
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from reprotune import environment
from reprotune.figures.style import save

STAGE = """
import sys, warnings
from pathlib import Path
from reprotune import cli
from reprotune.figures.style import save

def main():
    import mlflow
    import thop
    warnings.warn("of a library", DeprecationWarning)
    save(Path("drawn.svg"), lambda axes: axes.plot([-1, 2], label="Ω"))
    print(mlflow.active_run(), "±", flush=True)

cli.run(main)
"""
RC = "font.size: 30\nlines.linewidth: 9\nsvg.fonttype: none\naxes.unicode_minus: False\nno.such: key\n"


def hostile(folder: Path) -> dict[str, str]:
    """Variables, and settings in each place where matplotlib looks for them."""
    (folder / "matplotlibrc").write_bytes(b"font.size: 30 # \xe9, which is not UTF-8\n")
    for name in ("named", "configured/matplotlibrc", "home/.config/matplotlib/matplotlibrc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(RC)
    paths = {"MATPLOTLIBRC": "named", "MPLCONFIGDIR": "configured", "HOME": "home"}
    return {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONWARNINGS": "error",
        "PYTHONIOENCODING": "ascii",
        "MLFLOW_RUN_ID": "0" * 32,
        "MLFLOW_EXPERIMENT_ID": "7",
        **{variable: str(folder / path) for variable, path in paths.items()},
    }


def test_a_stage_draws_and_says_the_same_in_an_environment_made_for_something_else(tmp_path: Path) -> None:
    variables = os.environ | hostile(tmp_path) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", STAGE]
    stage = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert (stage.returncode, stage.stdout, stage.stderr) == (0, "None ?\n", "")
    save(tmp_path / "here" / "drawn.svg", lambda axes: axes.plot([-1, 2], label="Ω"))  # type: ignore[arg-type]
    assert (tmp_path / "drawn.svg").read_bytes() == (tmp_path / "here" / "drawn.svg").read_bytes()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("MLFLOW_TRACKING_URI", True),
        ("MLFLOW_TRACKING_PASSWORD", True),
        ("MLFLOW_TRACKING_SERVER_CERT_PATH", True),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", True),
        ("MLFLOW_DISABLE_TELEMETRY", True),
        ("MLFLOW_PORT", True),  # of `make ui`
        ("MLFLOW_RUN_ID", False),
        ("MLFLOW_EXPERIMENT_ID", False),
        ("MLFLOW_EXPERIMENT_NAME", False),
        ("MLFLOW_RUN_CONTEXT", False),
        ("MLFLOW_REGISTRY_URI", False),
        ("MLFLOW_ENABLE_ASYNC_LOGGING", False),
        ("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", False),
        ("_MLFLOW_ACTIVE_MODEL_ID", False),
        ("PYTHONWARNINGS", False),
        ("HTTPS_PROXY", True),
    ],
)
def test_of_mlflows_variables_it_keeps_those_that_say_where_the_store_is(
    monkeypatch: pytest.MonkeyPatch, name: str, kept: bool
) -> None:
    monkeypatch.setattr(os, "environ", {name: "ignore"})
    environment.isolate()
    assert (name in os.environ) == kept


@pytest.mark.parametrize("number", [os.getuid(), 54321], ids=["named", "nameless"])
def test_a_user_has_a_name_and_a_home(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """As a container's user, who has no entry in the list of users."""
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "getuid", lambda: number)
    environment.isolate()
    assert getpass.getuser()
    assert Path(os.environ["HOME"]).is_absolute()
    monkeypatch.setattr(os, "environ", {"LOGNAME": "me", "HOME": "/here"})
    environment.isolate()
    assert (os.environ["LOGNAME"], os.environ["HOME"]) == ("me", "/here")


def test_what_matplotlib_knows_of_fonts_is_kept_where_the_home_is_read_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {"HOME": "/"})
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != ("/", os.W_OK))
    environment.isolate()
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / ".dvc/tmp/matplotlib")
    monkeypatch.setattr(os, "environ", {"HOME": str(tmp_path)})
    environment.isolate()
    assert "MPLCONFIGDIR" not in os.environ


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert environment.git("rev-parse", "HEAD") == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.git("--version") == ""
