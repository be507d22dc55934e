"""Optuna's dashboard: it shows all studies, also while they run, and changes none."""

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from conftest import ROOT, Dying, Killed, make_params, run
from deployment import free_ports, kill
from parts import need

from reprotune.data.stored import StoredDataset
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec

pytestmark = pytest.mark.cluster


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    need(modules="optuna_dashboard", group="dashboard")
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "stages.dashboard", "--port", str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    assert process.stderr
    process.stderr.readline()  # that it listens
    yield f"http://127.0.0.1:{port}"
    kill(process)
    process.stderr.close()


def asked(address: str, method: str = "GET") -> Any:
    request = urllib.request.Request(address, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def begun(declared: StudySpec, folder: Path) -> None:
    with pytest.raises(Killed):
        run(declared, folder, Dying(6))


def test_running_studies_are_shown_and_cannot_be_changed(address: str, dataset: StoredDataset, tmp_path: Path) -> None:
    names = ("single_objective", "multi_objective")
    declared = {name: declaration.from_params(make_params(), name, dataset) for name in names}
    for study in declared.values():
        begun(study, tmp_path)
    shown = {study["study_name"]: study["study_id"] for study in asked(f"{address}/api/studies")["study_summaries"]}
    assert shown.keys() == {study.journal.stem for study in declared.values()}

    def states(study: StudySpec) -> list[str]:
        found = asked(f"{address}/api/studies/{shown[study.journal.stem]}?after=0")
        assert {attr["key"] for attr in found["trials"][0]["user_attrs"]} >= {"number", "told"}
        return [trial["state"] for trial in found["trials"]]

    assert all("Running" in states(study) for study in declared.values())
    run(declared["single_objective"], tmp_path)
    while len(now := states(declared["single_objective"])) < declared["single_objective"].n_trials:
        time.sleep(0.5)  # it looks again after some seconds
    assert "Running" not in now
    assert "Running" in states(declared["multi_objective"])

    before = {path: path.read_bytes() for path in tmp_path.glob("studies/*.log")}
    with pytest.raises(HTTPError):
        asked(f"{address}/api/studies/0", "DELETE")
    assert len(asked(f"{address}/api/studies")["study_summaries"]) == len(names)
    assert {path: path.read_bytes() for path in tmp_path.glob("studies/*.log")} == before
    see(f"{address}/dashboard/studies/0/trials", tmp_path)


def see(page: str, folder: Path) -> None:
    """In a browser, where there is one."""
    if browser := shutil.which("chromium"):
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/browser")
        quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
        show = ("--virtual-time-budget=30000", "--dump-dom")
        done = subprocess.run([browser, *options, *quiet, *show, page], capture_output=True, text=True, check=True)
        assert "Trial 0" in done.stdout
