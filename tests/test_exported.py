"""The model that was found classifies pictures as it did in training, from its files alone."""

from pathlib import Path

import pytest
import torch
from conftest import InlineExecutor, make_params
from PIL import Image
from test_evaluation import CONFIG

from reprotune import artifacts, evaluation, exported
from reprotune.datasets import StoredDataset
from reprotune.errors import Refused
from reprotune.models import Config
from reprotune.training import pixels, score

CNN = {"model": "cnn", "blocks": 2, "channels_1": 4, "channels_2": 4, "kernel": 3, "pooling": "average"}
CNN |= {"dropout_1": 0.1, "dropout_2": 0.1, "normalise": True, "lr": 0.02}


@pytest.fixture(params=["mlp", "cnn"])
def found(
    request: pytest.FixtureRequest, dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[float, Config]:
    """(test accuracy of what was written to results/model, its config)."""
    monkeypatch.chdir(tmp_path)
    config = {**CONFIG, "epochs": 8, **(CNN if request.param == "cnn" else {})}
    (path,) = evaluation.trained({"best": config}, dataset, make_params(evaluate__seeds=1), InlineExecutor(), False)[
        "best"
    ]
    exported.write(path, config, dataset)
    return exported.test_accuracy(path), config


def test_it_is_the_model_that_was_scored(found: tuple[float, Config], dataset: StoredDataset) -> None:
    model, description = exported.read()
    assert score(model, dataset.load("test"))[1] == found[0]
    assert description.config == found[1]
    assert description.classes == dataset.classes


def test_a_picture_of_its_own_size_is_seen_as_in_the_dataset(
    found: tuple[float, Config], dataset: StoredDataset, tmp_path: Path
) -> None:
    model, description = exported.read()
    images = dataset.load("test").images[:8]
    expected = model(pixels(images)).softmax(dim=1)
    for image, shares in zip(images, expected, strict=True):
        Image.fromarray(image[0].numpy()).save(tmp_path / "picture.png")
        seen = exported.classify(model, description, tmp_path / "picture.png")
        assert list(seen.values()) == sorted(seen.values(), reverse=True)
        by_class = torch.tensor([seen[name] for name in description.classes])
        torch.testing.assert_close(by_class, shares.detach())


@pytest.mark.parametrize(("mode", "form"), [("RGB", "jpeg"), ("RGBA", "png"), ("P", "png"), ("1", "png")])
def test_pictures_of_any_size_and_mode(found: tuple[float, Config], tmp_path: Path, mode: str, form: str) -> None:
    model, description = exported.read()
    Image.new(mode, (123, 45)).save(tmp_path / f"picture.{form}")
    seen = exported.classify(model, description, tmp_path / f"picture.{form}")
    assert sum(seen.values()) == pytest.approx(1)


def test_what_is_no_picture_is_refused(found: tuple[float, Config], tmp_path: Path) -> None:
    model, description = exported.read()
    (tmp_path / "text.png").write_text("no picture")
    for name in ("text.png", "absent.png"):
        with pytest.raises(Refused, match=rf"{name}: is no readable image \(.*\)$"):
            exported.classify(model, description, tmp_path / name)


def test_a_model_that_is_missing_or_damaged_is_refused(found: tuple[float, Config]) -> None:
    file = exported.FOLDER / "weights.safetensors"
    whole, description = file.read_bytes(), artifacts.read_json(exported.FOLDER / "model.json")
    for damaged in (b"", whole[:-1], whole[: len(whole) // 2], b"\x80\x04." + whole):
        file.write_bytes(damaged)
        with pytest.raises(Refused, match="is damaged"):
            exported.read()
    file.write_bytes(whole)
    artifacts.write_json(exported.FOLDER / "model.json", {**description, "classes": ["one"]})
    with pytest.raises(Refused, match="is damaged"):
        exported.read()
    file.unlink()
    with pytest.raises(Refused, match="holds no model"):
        exported.read()
