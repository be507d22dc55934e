"""What DVC sees of one's own images, and in experiments that run in a copy of the repository."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clone import Clone
from conftest import ROOT, committed
from PIL import Image
from ruamel.yaml import YAML

from reprotune.params import Images

PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = YAML(typ="safe").load(committed("params.yaml"))


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for inside in value.values():
            yield from keys(inside)


@pytest.mark.parametrize("stage", PIPELINE)
def test_dvcs_run_cache_passes_over_no_param(stage: str) -> None:
    """It takes a key with one of these names, in whatever a param holds, for what it knows of a file."""
    for declared in PIPELINE[stage]["params"]:
        value = PARAMS
        for key in declared.split("."):
            value = value[key]
        assert {"size", "nfiles"}.isdisjoint(keys(value)), declared


def test_a_change_of_any_key_of_images_makes_the_dataset_again() -> None:
    declared = {param.removeprefix("data.images.") for param in PIPELINE["download"]["params"]}
    assert Images.model_fields.keys() - declared == {"folder"}
    assert "${data.images.folder}" in PIPELINE["download"]["deps"]


def test_make_looks_whether_dvc_can_read_the_folder(tmp_path: Path) -> None:
    for folder in ("stages", "reprotune"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "params.yaml").write_text(committed("params.yaml"))
    (tmp_path / b"images/caf\xe9".decode(errors="surrogateescape")).mkdir(parents=True)
    command = [sys.executable, "-m", "stages.download", "--check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    line = r"names that are not UTF-8, which DVC cannot read: images/caf\xe9; rename them"
    assert done.stderr == f"error: {line}\n"
    recipe = (ROOT / "Makefile").read_text().partition("\nrepro:")[2].partition("\n\n")[0]
    assert re.search(r"stages\.download --check\n\tpython -m dvc repro\n", recipe)


@pytest.mark.cluster
@pytest.mark.parametrize("absolute", [True, False])
def test_an_experiment_in_a_copy_has_the_images(tmp_path: Path, absolute: bool) -> None:
    """Elsewhere by an absolute path, or added to DVC: the two ways that the README names."""
    (tmp_path / "here").mkdir()
    here = Clone(tmp_path / "here")
    pictures = tmp_path / "pictures" if absolute else here.path / "pictures"
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (pictures / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(pictures / name / f"{i}.png")
    images = {**PARAMS["data"]["images"], "folder": str(pictures) if absolute else "pictures"}
    here.change("data", dataset="image_folder", train_examples=None, images=images)
    if not absolute:
        here.run("dvc", "add", "pictures")
    here.commit("Pictures")
    run = ("dvc", "exp", "run", "download", "--temp", "-S")
    told = [here.run(*run, f"data.images.size=[{size},{size}]") for size in (4, 5)]
    here.run("dvc", "exp", "run", "download", "--queue", "-S", "data.images.size=[6,6]")
    told.append(here.run("dvc", "exp", "run", "--run-all"))
    assert all("20 images: cat 10, dog 10" in text for text in told)
    assert len({re.findall(r"digest \w+", text)[0] for text in told}) == 3
