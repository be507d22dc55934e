"""Each preset is a whole params.yaml that is accepted and runs; `make preset` never drops a change unasked."""

import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, make_data, run

from reprotune import params
from reprotune.data import datasets
from reprotune.data.datasets import Dataset
from reprotune.data.images import Arrays
from reprotune.data.stored import StoredDataset
from reprotune.params import Data
from reprotune.search.space import largest
from reprotune.search.study import declaration
from reprotune.training.models import meta_model

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
NAMES = [path.stem for path in PRESETS]


def constant(fetched: tuple[Arrays, None], _: Data) -> tuple[Arrays, None]:
    return fetched


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StoredDataset]:
    """Dataset → a few images of its shape, of noise."""
    stored = {}
    for name, shape in (("grey", (1, 28, 28)), ("rgb", (3, 32, 32)), ("photos", (3, 64, 64))):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (120, *shape), dtype=np.uint8)
        fetched = Arrays(images, np.arange(120, dtype=np.int64) % 10), None
        dataset = Dataset(partial(constant, fetched), valid=20, test=20, classes=tuple("0123456789"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(datasets.DATASETS, name, dataset)
            folder = tmp_path_factory.mktemp("data") / name
            datasets.download(make_data(dataset=name), 0, folder)
        stored[name] = StoredDataset(folder)
    return stored


def test_they_are_all_there() -> None:
    assert {"exercise", "digits", "fashion-mlp", "fashion-cnn", "fashion-front", "cifar10-cnn", "photos"} <= set(NAMES)


@pytest.mark.parametrize("path", PRESETS, ids=NAMES)
def test_a_preset_runs(path: Path, noise: dict[str, StoredDataset], tmp_path: Path) -> None:
    chosen = params.load(path)
    declaration.check_params(chosen)
    assert chosen.data.dataset in datasets.DATASETS
    dataset = noise[{"cifar10": "rgb", "image_folder": "photos"}.get(chosen.data.dataset, "grey")]
    for name in ("single_objective", "multi_objective"):
        declared = declaration.from_params(chosen, name, dataset)
        first = tuple({**config, "epochs": 1} for config in declared.first)
        trials = run(replace(declared, n_trials=2, space={**declared.space, "epochs": 1}, first=first), tmp_path)
        assert [trial.result.state for trial in trials] == ["COMPLETE"] * 2


def test_the_fashion_cnns_stay_below_100_000_parameters(noise: dict[str, StoredDataset]) -> None:
    chosen = params.load(ROOT / "presets/fashion-cnn.yaml")
    for name in ("single_objective", "multi_objective"):
        for config in largest(declaration.from_params(chosen, name, noise["grey"]).space):
            assert sum(weight.numel() for weight in meta_model(config, noise["grey"].inputs).parameters()) < 100_000


def test_the_photos_are_of_the_shape_that_was_tried() -> None:
    images = params.load(ROOT / "presets/photos.yaml").data.images
    assert (images.size, images.mode, images.fit) == ((64, 64), "rgb", "crop")


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_make_preset(tmp_path: Path) -> None:
    for name in ("Makefile", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    assert make(tmp_path, "preset", "NAME=exercise").returncode == 0
    assert (tmp_path / "params.yaml").read_bytes() == (ROOT / "presets/exercise.yaml").read_bytes()
    assert make(tmp_path, "preset", "NAME=photos").returncode == 0  # nothing is lost
    assert make(tmp_path, "preset", "NAME=exercise").returncode == 0
    with (tmp_path / "params.yaml").open("a") as file:
        file.write("# mine\n")
    own = (tmp_path / "params.yaml").read_bytes()
    refused = make(tmp_path, "preset", "NAME=fashion-mlp")
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "error: params.yaml: is as it is in no commit and no preset; make preset NAME=fash"
    )
    assert (tmp_path / "params.yaml").read_bytes() == own
    shutil.rmtree(tmp_path / ".git")  # as in an unpacked archive: nobody knows whether it was changed
    assert make(tmp_path, "preset", "NAME=fashion-mlp").stderr == refused.stderr
    assert make(tmp_path, "preset", "NAME=fashion-mlp", "FORCE=1").returncode == 0
    unknown = make(tmp_path, "preset", "NAME=imagenet")
    assert "NAME = 'imagenet': must be one of cifar10-cnn digits exercise" in unknown.stderr
