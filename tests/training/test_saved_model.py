"""The model that was found classifies pictures as it did in training, from its files alone."""

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CONFIG, InlineExecutor, make_params
from PIL import Image

from reprotune import artifacts
from reprotune.data.stored import Own, StoredDataset
from reprotune.errors import UserError
from reprotune.params import Fit
from reprotune.pipeline import evaluation
from reprotune.training import saved_model
from reprotune.training.fit import pixels, score
from reprotune.training.models import Config
from stages import predict

CNN = {"model": "cnn", "blocks": 2, "channels_1": 4, "channels_2": 4, "kernel": 3, "pooling": "average"}
CNN |= {"dropout_1": 0.1, "dropout_2": 0.1, "normalise": True, "lr": 0.02}
OWN = Own(copies=0, two_labels=0, left_out=0, groups=None, range=None)


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
    saved_model.write(path, config, dataset)
    return saved_model.test_accuracy(path), config


def test_it_is_the_model_that_was_scored(found: tuple[float, Config], dataset: StoredDataset) -> None:
    model, description = saved_model.read()
    assert score(model, dataset.load("test"))[1] == found[0]
    assert description.config == found[1]
    assert description.classes == dataset.classes


def test_a_picture_of_its_own_size_is_seen_as_in_the_dataset(
    found: tuple[float, Config], dataset: StoredDataset, tmp_path: Path
) -> None:
    model, description = saved_model.read()
    images = dataset.load("test").images[:8]
    expected = model(pixels(images)).softmax(dim=1)
    for image, shares in zip(images, expected, strict=True):
        Image.fromarray(image[0].numpy()).save(tmp_path / "picture.png")
        seen = saved_model.classify(model, description, tmp_path / "picture.png")
        assert list(seen.values()) == sorted(seen.values(), reverse=True)
        by_class = torch.tensor([seen[name] for name in description.classes])
        torch.testing.assert_close(by_class, shares.detach())


@pytest.mark.parametrize(("mode", "form"), [("RGB", "jpeg"), ("RGBA", "png"), ("P", "png"), ("1", "png")])
def test_pictures_of_any_size_and_mode(found: tuple[float, Config], tmp_path: Path, mode: str, form: str) -> None:
    model, description = saved_model.read()
    Image.new(mode, (123, 45)).save(tmp_path / f"picture.{form}")
    seen = saved_model.classify(model, description, tmp_path / f"picture.{form}")
    assert sum(seen.values()) == pytest.approx(1)


def test_what_is_no_picture_is_refused(found: tuple[float, Config], tmp_path: Path) -> None:
    model, description = saved_model.read()
    (tmp_path / "text.png").write_text("no picture")
    for name in ("text.png", "absent.png"):
        with pytest.raises(UserError, match=rf"{name}: is no readable image \(.*\)$"):
            saved_model.classify(model, description, tmp_path / name)


def test_how_a_picture_was_read_is_told(
    found: tuple[float, Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.full((8, 8), 4000, dtype=np.uint16)).save("deep.png")
    frames = [Image.new("L", (8, 8), grey) for grey in (40, 200)]
    frames[0].save("frames.gif", save_all=True, append_images=frames[1:])
    frames[0].save("plain.png")
    odd = Path(os.fsdecode(b"caf\xe9.png"))
    frames[0].save(odd)
    monkeypatch.setattr(sys, "argv", ["predict", "deep.png", "frames.gif", "plain.png", str(odd)])
    predict.main()
    deep, several, plain, escaped = capsys.readouterr().out.splitlines()
    assert deep.endswith("%; black is 0, white is 4095")
    assert several.endswith("%; the first of several frames or pages")
    assert plain.endswith("%")
    assert escaped == plain.replace("plain.png", r"caf\xe9.png")


KOREAN = ("고양이", "개", "새", "말")


@pytest.fixture
def folder(found: tuple[float, Config], dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures below it, and what is none; the classes have names that are not ASCII."""
    monkeypatch.setattr(dataset, "classes", KOREAN)
    saved_model.write(saved_model.FOLDER / "weights.safetensors", found[1], dataset)
    pictures = Path("photos")
    (pictures / "deeper/.hidden").mkdir(parents=True)
    for name in ("b.png", "deeper/a.jpg", "deeper/.hidden/c.png"):
        Image.new("L", (8, 8), 90).save(pictures / name)
    (pictures / "@eaDir").mkdir()
    for name in ("a note.txt", "broken.png", "@eaDir/b.png"):
        (pictures / name).write_text("no picture")
    return pictures


def predicted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """[stdout, stderr]"""
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
    predict.main()
    return list(capsys.readouterr())


def test_a_folder_is_looked_through(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, passed = predicted(monkeypatch, capsys, folder, folder / "b.png")
    assert [line.partition(": ")[0] for line in out.splitlines()] == [
        "photos/b.png",
        "photos/deeper/a.jpg",
        "photos/b.png",
    ]
    assert passed.startswith("passed over: photos/broken.png (no AVIF")
    told = "; photos/@eaDir (left by programs); photos/a note.txt (no pictures by their names); "
    assert passed.endswith(f"{told}photos/deeper/.hidden (hidden)\n")
    assert passed.count("\n") == 1
    for bad, line in ((folder / "a note.txt", "is no readable image"), (folder / "none", "is no readable image")):
        with pytest.raises(UserError, match=line):
            predicted(monkeypatch, capsys, folder / "b.png", bad)
    (folder / "linked").symlink_to("deeper")
    (folder / "none").symlink_to("nowhere")
    _, passed = predicted(monkeypatch, capsys, folder)
    told = "; photos/linked (a link to a folder); photos/none (not a file, or a link to none)\n"
    assert passed.endswith(told)
    with pytest.raises(UserError, match=r"^'': is no path$"):
        predicted(monkeypatch, capsys, "")
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="photos/empty: holds no readable image"):
        predicted(monkeypatch, capsys, folder / "empty")


def test_what_a_program_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = Path(os.fsdecode(b"caf\xe9.gif"))
    frames = [Image.new("L", (8, 8), grey) for grey in (40, 200)]
    frames[0].save(odd, save_all=True, append_images=frames[1:])
    out, told = predicted(monkeypatch, capsys, folder / "b.png", "--json", odd)
    plain, escaped = json.loads(out)
    expected = list(saved_model.classify(*saved_model.read(), folder / "b.png").items())
    assert list(plain["classes"].items()) == expected[:3]
    assert next(iter(plain["classes"])) in out  # as it is written
    assert (plain["path"], escaped["path"]) == ("photos/b.png", str(odd))
    assert told == "caf\\xe9.gif: the first of several frames or pages\n"
    out, _ = predicted(monkeypatch, capsys, "--csv", folder / "b.png")
    header, row = csv.reader(out.splitlines())
    assert header == ["path", *(f"{kind}_{n}" for n in (1, 2, 3) for kind in ("class", "probability"))]
    cells = [(name, float(share)) for name, share in zip(row[1::2], row[2::2], strict=True)]
    assert (row[0], cells) == ("photos/b.png", expected[:3])


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_a_model_that_diverged_has_no_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]
) -> None:
    """`evaluate` keeps it where the best config diverges on train + valid. NaN is no JSON."""
    model = saved_model.read()[0]
    for weight in model.parameters():
        weight.data.fill_(torch.nan)
    Path("results/model/weights.safetensors").write_bytes(saved_model.weights(model, 0.1, diverged=True))
    with pytest.raises(UserError, match=r"^results/model: has no answer, as its training diverged"):
        predicted(monkeypatch, capsys, *form, folder / "b.png")
    assert "nan" not in capsys.readouterr().out.lower()


def test_names_of_classes_are_written_as_they_are(folder: Path) -> None:
    assert "고양이" in (saved_model.FOLDER / "model.json").read_text(encoding="utf-8")


def test_a_picture_of_more_than_8_bits_is_read_as_in_training(
    found: tuple[float, Config], dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "range" not in artifacts.read_json(saved_model.FOLDER / "model.json")
    monkeypatch.setattr(dataset, "own", OWN.model_copy(update={"range": (0, 4095)}))
    saved_model.write(saved_model.FOLDER / "weights.safetensors", found[1], dataset)
    model, description = saved_model.read()
    image = dataset.load("test").images[0, 0].numpy()
    dark = image.astype(np.uint16) // 4
    Image.fromarray(dark << 4).save("deep.png")
    Image.fromarray(dark.astype(np.uint8)).save("plain.png")
    one, other = (saved_model.classify(model, description, Path(name)) for name in ("deep.png", "plain.png"))
    assert one == other


def test_a_picture_is_fitted_as_in_training(
    found: tuple[float, Config], dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.full((8, 80), 255, dtype=np.uint8)).save("long.png")
    seen = {}
    cases: list[tuple[Fit, Own | None]] = [("stretch", None), ("pad", None), ("stretch", OWN), ("pad", OWN)]
    for fit, own in cases:
        monkeypatch.setattr(dataset, "own", own)
        saved_model.write(saved_model.FOLDER / "weights.safetensors", found[1], dataset, fit)
        recorded = artifacts.read_json(saved_model.FOLDER / "model.json").get("fit", "stretch")
        assert recorded == ("pad" if fit == "pad" and own else "stretch")  # a published dataset is as it is
        seen[fit, own] = saved_model.classify(*saved_model.read(), Path("long.png"))
    assert seen["pad", OWN] != seen["stretch", OWN] == seen["pad", None] == seen["stretch", None]


def test_a_model_that_is_missing_or_damaged_is_refused(found: tuple[float, Config]) -> None:
    file = saved_model.FOLDER / "weights.safetensors"
    whole, description = file.read_bytes(), artifacts.read_json(saved_model.FOLDER / "model.json")
    for damaged in (b"", whole[:-1], whole[: len(whole) // 2], b"\x80\x04." + whole):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged"):
            saved_model.read()
    file.write_bytes(whole)
    artifacts.write_json(saved_model.FOLDER / "model.json", {**description, "classes": ["one"]})
    with pytest.raises(UserError, match="is damaged"):
        saved_model.read()
    file.unlink()
    with pytest.raises(UserError, match="holds no model"):
        saved_model.read()
