"""A DVC remote: what was pushed is pulled in a clone elsewhere, and nothing is left to do."""

import subprocess
from copy import copy
from pathlib import Path

import pytest
from clone import Clone


@pytest.mark.cluster
def test_a_clone_elsewhere_has_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    here = Clone(tmp_path / "here")
    here.run("dvc", "repro", "single_objective")
    here.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "remote"))
    here.commit("Results")
    here.run("dvc", "push")

    subprocess.run(["git", "clone", "--quiet", str(here.path), str(tmp_path / "elsewhere")], check=True)
    elsewhere = copy(here)
    elsewhere.path = tmp_path / "elsewhere"
    elsewhere.run("dvc", "pull", "download", "single_objective")
    assert "up to date" in elsewhere.run("dvc", "repro", "single_objective")
    assert elsewhere.status() == ""
    assert elsewhere.results() == here.results()
