import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import make_data
from PIL import Image

from reprotune.data import datasets, image_folder
from reprotune.data.images import Arrays
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.params import Images


def images(folder: Path, **changes: object) -> Images:
    return Images.model_validate({"folder": str(folder), "size": [6, 5], "mode": "grey"} | changes)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of 20 pictures: dark cats, bright dogs, of several sizes, modes and formats."""
    for name, base in (("cat", 10), ("dog", 200)):
        folder = tmp_path / "pictures" / name
        (folder / "more").mkdir(parents=True)
        for i in range(20):
            mode, suffix = [("L", "png"), ("RGB", "jpg"), ("RGBA", "webp"), ("1", "gif"), ("CMYK", "tif")][i % 5]
            picture = Image.new("RGB", (3 + i, 7 + i), (base + i,) * 3).convert(mode)
            picture.save(folder / ("more" if i % 2 else "") / f"{i:02}.{suffix}")
    return tmp_path / "pictures"


def test_sizes_modes_and_shares(pictures: Path, tmp_path: Path) -> None:
    data = make_data(dataset="image_folder", images=images(pictures, mode="rgb").model_dump())
    datasets.download(data, 0, tmp_path / "stored")
    stored = StoredDataset(tmp_path / "stored")
    assert stored.classes == ("cat", "dog")
    assert stored.shape == (3, 6, 5)
    sizes = {split: np.bincount(stored.load(split).labels).tolist() for split in ("train", "valid", "test")}
    assert sizes == {"train": [14, 14], "valid": [3, 3], "test": [3, 3]}
    split = stored.load("train")
    bright = split.images.float().mean((1, 2, 3))
    assert bright[split.labels == 0].max() < 50
    assert bright[split.labels == 1].min() > 150


def test_hidden_files_and_the_order_of_the_file_system_change_nothing(pictures: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in sorted((path for path in pictures.rglob("*") if path.is_file()), reverse=True):
        (copy / path.relative_to(pictures)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(pictures))
    for hidden in (".git/x", "cat/.DS_Store", "dog/.thumbnails/x.png"):
        (copy / hidden).parent.mkdir(exist_ok=True)
        (copy / hidden).write_text("no image")
    (copy / "README.txt").write_text("no image, but of no class either")
    one, other = image_folder.read(images(pictures)), image_folder.read(images(copy))
    assert np.array_equal(one.images, other.images)
    assert np.array_equal(one.labels, other.labels)


def test_what_pixels_become(tmp_path: Path) -> None:
    path, declared = tmp_path / "x.png", images(tmp_path, size=[1, 2])
    Image.fromarray(np.array([[0x1234, 0xFF00]], dtype=np.uint16)).save(path)
    assert image_folder.pixels(path, declared).tolist() == [[[0x12, 0xFF]]]
    Image.fromarray(np.array([[[9, 9, 9, 255], [0, 0, 0, 0]]], dtype=np.uint8)).save(path)
    assert image_folder.pixels(path, declared).tolist() == [[[9, 255]]]
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera on its side
    Image.fromarray(np.array([[1], [2]], dtype=np.uint8)).save(path, exif=exif)
    assert image_folder.pixels(path, declared).tolist() == [[[2, 1]]]


def test_bad_files_are_named(pictures: Path) -> None:
    bad = [pictures / "cat" / f"{letter}.png" for letter in "abcdefg"]
    good = (pictures / "cat/00.png").read_bytes()
    bad[0].write_text("no image")
    bad[1].write_bytes(good[:-30])
    with pytest.raises(UserError) as refused:
        image_folder.read(images(pictures))
    assert str(refused.value) == f"no readable images: {bad[0]}, {bad[1]}; mend them or take them out"
    for path in bad:
        path.write_bytes(b"")
    with pytest.raises(UserError) as refused:
        image_folder.read(images(pictures))
    assert str(refused.value).endswith(f"{bad[4]} and 2 more; mend them or take them out")
    assert str(bad[5]) not in str(refused.value)


def test_too_few_are_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.images.folder = '.*nowhere': must be a folder"):
        image_folder.read(images(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"must hold 2 classes or more, not 0"):
        image_folder.read(images(pictures / "cat/more"))
    (pictures / "emu").mkdir()
    with pytest.raises(UserError, match=r"emu: holds 0 images; each class needs 10 or more"):
        image_folder.read(images(pictures))
    for i in range(9):
        Image.new("L", (4, 4)).save(pictures / "emu" / f"{i}.png")
    with pytest.raises(UserError, match=r"emu: holds 9 images"):
        image_folder.read(images(pictures))


@pytest.mark.parametrize("counts", [(10, 10), (10, 33), (10, 10, 10, 999), (11, 13, 17)])
def test_the_least_number_puts_every_class_in_every_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...]
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    arrays = Arrays(np.zeros((len(labels), 1, 2, 2), dtype=np.uint8), labels)
    monkeypatch.setattr(image_folder, "read", lambda _: arrays)
    monkeypatch.setattr(image_folder, "classes", lambda _: tuple("abcd")[: len(counts)])
    datasets.download(make_data(dataset="image_folder"), 0, tmp_path)
    for split in ("train", "valid", "test"):
        assert set(StoredDataset(tmp_path).load(split).labels.tolist()) == set(range(len(counts)))
