"""A folder of one's own images: which files, which class, which split; and what DVC would not see."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from conftest import make_data
from PIL import Image

from reprotune.data import datasets, image_folder, pictures
from reprotune.data.images import SPLITS
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.params import Images


def images(folder: Path, **changes: object) -> Images:
    return Images.model_validate({"folder": str(folder), "size": [6, 5], "mode": "grey"} | changes)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")  # what is read is kept below it for a while


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 20 pictures: dark cats, bright dogs, of several sizes, modes and formats."""
    for name, base in (("cat", 10), ("dog", 200)):
        inside = tmp_path / "pictures" / name
        (inside / "more").mkdir(parents=True)
        for i in range(20):
            mode, suffix = [("L", "png"), ("RGB", "jpg"), ("RGBA", "webp"), ("1", "gif"), ("CMYK", "tif")][i % 5]
            picture = Image.new("RGB", (3 + i, 7 + i), (base + i,) * 3).convert(mode)
            picture.save(inside / ("more" if i % 2 else "") / f"{i:02}.{suffix}")
    return tmp_path / "pictures"


def test_sizes_modes_and_shares(folder: Path, tmp_path: Path) -> None:
    data = make_data(dataset="image_folder", images=images(folder, mode="rgb").model_dump())
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


def stored(folder: Path, **changes: object) -> StoredDataset:
    """The dataset made of the folder."""
    data = make_data(dataset="image_folder", images=images(folder, **changes).model_dump())
    datasets.download(data, 0, Path("stored"))
    return StoredDataset(Path("stored"))


def noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 5), dtype=np.uint8)).save(path)


def fill(folder: Path, counts: Mapping[str, int]) -> None:
    """Different pictures in each of these sub-folders."""
    for number, (name, count) in enumerate(counts.items()):
        for i in range(count):
            noise(folder / name / f"{i:03}.png", 1000 * number + i)


def seen(dataset: StoredDataset) -> dict[str, list[bytes]]:
    return {split: [image.tobytes() for image in dataset.arrays(split).images] for split in SPLITS}


LEFT = [".git/x.png", "cat/.DS_Store", "dog/.thumbnails/x.png", "dog/._00.png", "cat/Thumbs.db", "dog/desktop.ini"]
LEFT += ["@eaDir/x.png", "cat/@eaDir/00.png/x.jpg", "__MACOSX/cat/00.png", "$RECYCLE.BIN/x.png", "#recycle/x.png"]
LEFT += ["Network Trash Folder/x.png", "@Recently-Snapshot/cat/x.png", "FOUND.000/x.png", "cat/@__thumb/x.png"]
LEFT += ["cat/labels.csv", "dog/read me.txt", "cat/00.png:Zone.Identifier", "cat/x.png.crdownload", "cat/00.png~"]
LEFT += [".Trash-1000/files/x.png", "cat/.ipynb_checkpoints/00.png", "cat.zip", "cat/00.xmp", "dog/Icon\r"]


@pytest.mark.parametrize("left", LEFT)
def test_what_programs_leave_is_no_class_no_picture_and_no_stop(
    folder: Path, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = image_folder.find(images(folder))
    (folder / left).parent.mkdir(exist_ok=True, parents=True)
    (folder / left).write_text("no image")
    found = image_folder.find(images(folder))
    assert found.paths == before.paths
    assert found.classes == before.classes
    told = image_folder.told(found, images(folder), {})
    assert "skipped, " in told
    assert told.isprintable() or "\r" not in told


def test_the_order_of_the_file_system_changes_nothing(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in sorted((path for path in folder.rglob("*") if path.is_file()), reverse=True):
        (copy / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(folder))
    (copy / "README.txt").write_text("no image, but of no class either")
    one, other = stored(folder).digest, stored(copy).digest
    assert one == other


def test_what_is_taken_is_told_before_it_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "README.txt").write_text("of no class")
    (folder / "cat/.DS_Store").write_text("")

    def read(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "take", read)
    with pytest.raises(KeyboardInterrupt):
        stored(folder)
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}: 40 images: cat 20, dog 20",
        f"{folder}: 1 MB of disk, and twice that while it is made",
        f"{folder}: held out: 15% test, 15% valid",
        f"{folder}: skipped, no pictures by their names: 1 (README.txt)",
        f"{folder}: skipped, hidden: 1 (.DS_Store)",
    ]


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [
        ({"train": 20, "val": 5, "test": 7}, {"train": 40, "valid": 10, "test": 14}),
        ({"Training": 20, "validation": 5, "testing": 1}, {"train": 40, "valid": 10, "test": 2}),
        ({"train": 20, "test": 7}, {"train": 34, "valid": 6, "test": 14}),
        ({"train": 20, "valid": 7}, {"train": 34, "valid": 14, "test": 6}),
    ],
)
def test_splits_of_the_folder_are_kept(tmp_path: Path, counts: dict[str, int], sizes: dict[str, int]) -> None:
    fill(tmp_path / "own", {f"{split}/{name}": count for split, count in counts.items() for name in ("cat", "dog")})
    dataset = stored(tmp_path / "own")
    assert dataset.classes == ("cat", "dog")
    assert dataset.sizes == sizes
    for top, split in zip(counts, ("train", "valid" if len(counts) > 2 or "valid" in counts else "test"), strict=False):
        declared = {image_bytes(path) for path in (tmp_path / "own" / top).rglob("*.png")}
        assert declared >= set(seen(dataset)[split])
    for split in SPLITS:
        assert np.ptp(np.bincount(dataset.arrays(split).labels)) == 0


def image_bytes(path: Path) -> bytes:
    return np.asarray(Image.open(path)).tobytes()


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ({"train": 12, "test": 12, "cat": 12}, "must hold either classes or train, valid and test with the classes"),
        (
            {"train/cat": 12, "train/dog": 12, "val/cat": 3, "valid/cat": 3, "test/cat": 2},
            "must hold either classes or",
        ),
        ({"train/cat": 12, "train/dog": 12, "test/cow": 2}, "train has of cow 0 images; each class needs 10 or more"),
        ({"train/cat": 12, "train/dog": 9, "test/dog": 2}, "train has of dog 9 images; each class needs 10 or more"),
        ({"val/cat": 12, "val/dog": 12, "test/cat": 12, "test/dog": 12}, "must hold either classes or"),
        ({"train": 12, "test": 12}, "must hold 2 classes or more, not 0"),
        ({"train": 12}, "must hold 2 classes or more, not 1 (train)"),
        ({"photos/train/cat": 12, "photos/test/cat": 12}, "not 1 (photos); own/photos may be meant"),
    ],
)
def test_what_may_be_splits_or_classes_is_refused(tmp_path: Path, counts: dict[str, int], line: str) -> None:
    fill(tmp_path / "own", counts)
    with pytest.raises(UserError) as refused:
        image_folder.find(images(tmp_path / "own"))
    assert line in str(refused.value).replace(f"{tmp_path}/", "")


def test_a_class_that_a_split_lacks_is_said(tmp_path: Path) -> None:
    fill(tmp_path / "own", {"train/cat": 20, "train/dog": 20, "train/elk": 20, "test/dog": 5})
    found = image_folder.find(images(tmp_path / "own"))
    assert ": not in test: cat, elk\n" in image_folder.told(found, images(tmp_path / "own"), {"valid": 0.15})


def test_a_class_may_have_a_splits_name(tmp_path: Path) -> None:
    fill(tmp_path / "own", {"train": 12, "bus": 12})
    assert image_folder.find(images(tmp_path / "own")).classes == ("bus", "train")


def test_a_test_set_without_classes_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path / "own", {"train/cat": 20, "train/dog": 20, "test": 5})
    found = image_folder.find(images(tmp_path / "own"))
    assert len(found.paths) == 40
    assert "held out: 15% test" in image_folder.told(found, images(tmp_path / "own"), {"test": 0.15})
    assert "skipped, outside of the class folders: 5" in image_folder.told(found, images(tmp_path / "own"), {})


def test_links_to_files_are_followed(folder: Path, tmp_path: Path) -> None:
    expected = stored(folder).digest
    for path in (folder / "cat").rglob("*.png"):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    assert stored(folder).digest == expected
    (tmp_path / "link").symlink_to(folder)
    assert stored(tmp_path / "link").digest == expected


@pytest.mark.parametrize("place", ["emu", "cat/more/emu"])
def test_what_dvc_does_not_see_is_refused(folder: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "emu").mkdir()
    (folder / place).symlink_to(tmp_path / "emu")
    with pytest.raises(UserError, match=rf"{folder / place}: is a link to a folder, in which DVC sees no change"):
        image_folder.find(images(folder))
    (tmp_path / "emu").rmdir()
    with pytest.raises(UserError, match=rf"{folder / place}: is not a file, or a link to none"):
        image_folder.find(images(folder))
    (folder / place).unlink()
    os.mkfifo(folder / place)
    if "/" in place:
        with pytest.raises(UserError, match=rf"{folder / place}: is not a file, or a link to none"):
            image_folder.find(images(folder))


def test_a_folder_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def closed(path: Path) -> object:
        if str(path) == str(folder / "dog/more"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(UserError, match=rf"{folder / 'dog/more'}: cannot be read \(Permission denied\)"):
        image_folder.find(images(folder))


@pytest.mark.parametrize("place", [b"caf\xe9", b"cat/\xe9.png", b".hidden/\xff"])
def test_a_name_that_is_not_utf_8_is_named(folder: Path, place: bytes) -> None:
    path = folder / os.fsdecode(place)
    path.mkdir(parents=True)
    with pytest.raises(UserError) as refused:
        image_folder.check_names(images(folder))
    named = f"{folder}/{place.decode(errors='backslashreplace')}"
    assert str(refused.value) == f"names that are not UTF-8, which DVC cannot read: {named}; rename them"


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "\x1b[1m", "\u2028"])
def test_a_class_whose_name_would_break_a_line_is_named(folder: Path, name: str) -> None:
    (folder / "cat").rename(folder / name)
    escaped = name.encode("unicode_escape").decode()
    with pytest.raises(UserError, match=re.escape(f"line breaks or control characters: {escaped}; rename them")):
        image_folder.find(images(folder))


def test_one_name_in_two_unicode_forms_is_refused(folder: Path) -> None:
    """As two systems write it."""
    fill(folder, {"caf\u00e9": 10, "cafe\u0301": 10})
    with pytest.raises(UserError, match=r"names of classes that differ in their Unicode form alone: .*; merge them"):
        image_folder.find(images(folder))


def test_a_home_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    with pytest.raises(UserError, match=r"data.images.folder = '~/pictures': must be .* /home/ada/pictures"):
        image_folder.find(images(Path("~/pictures")))
    with pytest.raises(UserError, match=r"data.images.folder = '~nobody-of-this-name': must be written out"):
        image_folder.find(images(Path("~nobody-of-this-name")))


def test_in_a_copy_of_the_repository_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("images").mkdir()
    with pytest.raises(UserError, match=r"not 0$"):
        image_folder.find(images(Path("images")))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(UserError, match=r"an experiment runs in a copy, .*: give an absolute path, or `dvc add`"):
        image_folder.find(images(Path("images")))


def test_how_pictures_were_read_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.full((8, 8), 4000, dtype=np.uint16)).save(folder / "dog/deep.png")
    frames = [Image.new("L", (8, 8), grey) for grey in (77, 200)]
    frames[0].save(folder / "cat/frames.gif", save_all=True, append_images=frames[1:])
    dataset = stored(folder)
    out = capsys.readouterr().out
    assert f"{folder}: 1 have several frames or pages: the first is taken" in out
    assert f"{folder}: 1 have more than 8 bits: 0 is black, 4095 white (data.images.range)" in out
    assert dataset.own is not None
    assert dataset.own.range == (0, 4095)
    assert any((image == 77).all() for split in SPLITS for image in dataset.arrays(split).images)


def test_bad_files_are_named(folder: Path) -> None:
    bad = [folder / "cat" / f"{letter}.png" for letter in "abcdefg"]
    good = (folder / "cat/00.png").read_bytes()
    bad[0].write_text("no image")
    bad[1].write_bytes(good[:-30])
    with pytest.raises(UserError) as refused:
        stored(folder)
    assert str(refused.value) == (
        f"no readable images: {bad[0]} (no AVIF, BMP, GIF, JPEG, JPEG2000, PNG, PPM, TIFF or WEBP, or without pixels); "
        f"{bad[1]} (image file is truncated); repair or remove them"
    )
    for path in bad:
        path.write_bytes(b"")
    with pytest.raises(UserError) as refused:
        stored(folder)
    assert str(refused.value).endswith(f"{bad[4]} and 2 more (empty); repair or remove them")
    assert str(bad[5]) not in str(refused.value)


def test_too_few_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.images.folder = '.*nowhere': must be a folder"):
        image_folder.find(images(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"data.images.folder = '': must be a folder"):  # and not the current one
        image_folder.find(images(folder).model_copy(update={"folder": ""}))
    with pytest.raises(UserError, match=r"must hold 2 classes or more, not 0"):
        image_folder.find(images(folder / "cat/more"))
    (folder / "emu").mkdir()
    with pytest.raises(UserError, match=r"emu: holds 0 images; each class needs 10 or more"):
        image_folder.find(images(folder))
    for i in range(9):
        Image.new("L", (4, 4)).save(folder / "emu" / f"{i}.png")
    with pytest.raises(UserError, match=r"emu: holds 9 images"):
        image_folder.find(images(folder))


@pytest.mark.parametrize("counts", [(10, 10), (10, 33), (10, 10, 10, 999), (11, 13, 17)])
def test_the_least_number_puts_every_class_in_every_split(
    folder: Path, monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...]
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    made = np.random.default_rng(0).integers(0, 256, (len(labels), 1, 2, 2), dtype=np.uint8)
    paths = tuple(str(row) for row in range(len(labels)))
    found = image_folder.Found(folder, tuple("abcd")[: len(counts)], paths, labels, np.zeros_like(labels), ())
    monkeypatch.setattr(image_folder, "find", lambda _: found)
    monkeypatch.setattr(pictures, "take", lambda *_: pictures.Taken(made, None, 0, 0))
    dataset = stored(folder)
    assert sum(dataset.sizes.values()) == len(labels)
    for split in SPLITS:
        assert set(dataset.arrays(split).labels.tolist()) == set(range(len(counts)))
