"""No machine but the index, the datasets' mirrors and those that a user names is ever asked for anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clone import ASKS, offline
from conftest import ROOT

from reprotune.errors import UserError
from reprotune.tracking import store
from stages import ui


def run(code: str, refused: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = offline(refused) | variables
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ASKS!r}], check=True)"
DATAGRAM = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 80))"


@pytest.mark.parametrize("code", [ASKS, CHILD, DATAGRAM])
def test_the_guard_sees_and_refuses(code: str, tmp_path: Path) -> None:
    done = run(code, tmp_path / "refused")
    assert done.returncode == 1
    assert "is beyond this machine" in done.stderr
    assert len((tmp_path / "refused").read_text().splitlines()) == 1


TRACK = """
from reprotune.tracking.parent_run import parent_run
with parent_run("evaluate", "one", {}) as parent:
    parent.log_config(0, "best", {"lr": 1}, {"accuracy": 0.5})
from mlflow.telemetry import get_telemetry_client
from mlflow.telemetry.utils import _IS_IN_CI_ENV_OR_TESTING
assert not _IS_IN_CI_ENV_OR_TESTING  # where MLflow reports nothing anyway
assert get_telemetry_client() is None
"""


def test_tracking_reports_to_nobody(tmp_path: Path, empty_store: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    done = run(TRACK, tmp_path / "refused", DVC_ROOT=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "refused").exists()


def test_the_page_that_make_ui_serves_reports_to_nobody(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the page in a browser: it asks this server whether it may."""
    from mlflow.telemetry import utils

    started = list[tuple[list[str], dict[str, str]]]()
    monkeypatch.setattr(os, "execv", lambda _, command: started.append((command, dict(os.environ))))
    for name in (*store.SETTINGS, "MLFLOW_BACKEND_STORE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["ui", "--port", "5001"])
    ui.main()
    ((command, environment),) = started
    assert command[1:] == ["-m", "mlflow", "ui", "--port", "5001"]
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{repository / 'mlflow.db'}"
    monkeypatch.setattr(utils, "_IS_IN_CI_ENV_OR_TESTING", False)
    assert utils.is_telemetry_disabled()


def test_make_ui_leaves_a_servers_page_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somebody:secret@127.0.0.1:9")
    with pytest.raises(UserError, match=r"^MLFLOW_TRACKING_URI = http://127.0.0.1:9: "):
        ui.main()


def test_dvc_reports_to_nobody() -> None:
    command = [sys.executable, "-m", "dvc", "config", "--list", "--project"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"core.analytics=false", "core.check_update=false"} <= set(shown)
