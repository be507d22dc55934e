"""What must stay together does: copies of a picture, and groups. What the folder itself tears is told or refused."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_data
from PIL import Image

from reprotune.data import datasets, image_folder, splits
from reprotune.data.images import SPLITS, Arrays, Part, SplitName, whole
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.params import Images

SHARES: dict[SplitName, float] = {"train": 0.7, "test": 0.15, "valid": 0.15}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (6, 5), dtype=np.uint8)


def save(path: str, number: int) -> None:
    (Path("own") / path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number)).save(Path("own") / path)


def stored(group: str | None = None, seed: int = 0) -> StoredDataset:
    images = Images(folder="own", size=(6, 5), mode="grey", group=group)
    datasets.download(make_data(dataset="image_folder", images=images.model_dump()), seed, Path("stored"))
    return StoredDataset(Path("stored"))


def places(dataset: StoredDataset) -> dict[int, list[str]]:
    """Number of a picture → the splits that it and its copies are in."""
    of_bytes = {picture(number).tobytes(): number for number in range(200)}
    found: dict[int, list[str]] = {}
    for split in SPLITS:
        for image in dataset.arrays(split).images:
            found.setdefault(of_bytes[image.tobytes()], []).append(split)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_in_one_split_and_what_has_two_labels_is_named(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(40):
        save(f"{'cat' if i < 20 else 'dog'}/{i}.png", i)
    for i in range(10):  # of each class, in another format
        save(f"cat/again/{i}.tif", i)
        save(f"dog/again/{i + 20}.tif", i + 20)
    save("dog/a cat.png", 3)
    dataset = stored(seed=seed)
    found = places(dataset)
    assert sum(dataset.sizes.values()) == 61
    assert {len(set(of)) for of in found.values()} == {1}
    assert [len(found[number]) for number in (3, 9, 10, 25, 35)] == [3, 2, 1, 2, 1]
    for split in ("valid", "test"):
        assert np.bincount(dataset.arrays(split).labels).min() >= 3
    assert dataset.own is not None
    assert (dataset.own.copies, dataset.own.two_labels, dataset.own.left_out) == (21, 3, 0)
    out = capsys.readouterr().out
    assert "own: 21 are pixel-for-pixel copies of another, and in no other split" in out
    assert "own: 3 are under several classes: cat/3.png = cat/again/3.tif = dog/a cat.png" in out


def test_a_copy_in_a_later_split_of_the_folder_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = iter(range(200))
    for split, count in {"train": 20, "val": 5, "test": 5}.items():
        for name in ("cat", "dog"):
            for _ in range(count):
                number = next(numbers)
                save(f"{split}/{name}/{number}.png", number)
    save("train/cat/copy.png", 50)  # of test
    save("train/cat/another.png", 40)  # of valid
    save("val/dog/third.png", 59)  # of test
    dataset = stored()
    found = places(dataset)
    assert dataset.sizes == {"train": 40, "valid": 10, "test": 10}
    assert (found[50], found[40], found[59]) == (["test"], ["valid"], ["test"])
    assert dataset.own is not None
    assert (dataset.own.copies, dataset.own.two_labels, dataset.own.left_out) == (3, 0, 3)
    assert "own: 3 are left out, because copies of them are in test or valid" in capsys.readouterr().out


def test_a_split_of_copies_alone_is_taken_out_of_train() -> None:
    for i in range(40):
        save(f"train/{'cat' if i < 20 else 'dog'}/{i}.png", i)
    for split in ("val", "test"):
        save(f"{split}/cat/x.png", 50)
        save(f"{split}/dog/y.png", 51)
    assert stored().sizes == {"train": 34, "valid": 6, "test": 2}


def test_too_few_without_what_is_left_out() -> None:
    for i in range(10):
        save(f"train/cat/{i}.png", i)
        save(f"train/dog/{i}.png", i + 10)
    save("test/cat/0.png", 0)
    save("test/dog/0.png", 50)
    with pytest.raises(
        UserError, match="train has of cat 9 images besides copies of later splits; each class needs 10 or more"
    ):
        stored()


@pytest.mark.parametrize("group", [r"p\d+", r"(p\d+)_", r"/(p\d+)|x"])
@pytest.mark.parametrize("seed", range(3))
def test_a_group_is_in_one_split(group: str, seed: int) -> None:
    numbers = iter(range(200))
    of_patient: dict[str, list[int]] = {}
    for patient in range(12):
        for name in ("cat", "dog") if patient < 3 else (("cat", "dog")[patient % 2],):
            for _ in range(3 + patient):
                number = next(numbers)
                of_patient.setdefault(f"p{patient}", []).append(number)
                save(f"{name}/p{patient}_{number}.png", number)
    dataset = stored(group, seed)
    found = places(dataset)
    split_of = {patient: set(chain(*(found[number] for number in of))) for patient, of in of_patient.items()}
    assert {len(of) for of in split_of.values()} == {1}
    assert sum(dataset.sizes.values()) == sum(map(len, of_patient.values()))
    for split, share in SHARES.items():
        assert np.bincount(dataset.arrays(split).labels, minlength=2).min() > 0
        assert dataset.sizes[split] / sum(dataset.sizes.values()) == pytest.approx(share, abs=0.12)
    assert dataset.own is not None
    assert dataset.own.groups == 12


def test_a_group_that_cannot_be_kept_is_refused() -> None:
    for i in range(12):
        save(f"cat/p{i % 2}_{i}.png", i)
        save(f"dog/q{i}_{i}.png", i + 20)
    with pytest.raises(
        UserError, match=r"class cat: is in 2 of the groups of pictures .*, too few for train, test, valid, each of"
    ):
        stored(r"[pq]\d+")
    with pytest.raises(
        UserError, match=r"data.images.group = 'p\[01\]': must match the path of every picture.*dog/q0_0"
    ):
        stored("p[01]")


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_several_classes(seed: int) -> None:
    """As patches of tissue, of which each patient has some, and most are healthy."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(20), rng.integers(20, 100, 20))
    labels = (rng.random(len(patient)) < 0.2).astype(np.int64)
    part = whole(Arrays(np.zeros((len(labels), 1, 1, 1), dtype=np.uint8), labels))
    shared = splits.share_out(part, patient, SHARES, ["healthy", "ill"], seed)
    assert sum(len(set(patient[of.rows])) for of in shared.values()) == 20
    for name, of in shared.items():
        assert len(of.rows) / len(labels) == pytest.approx(SHARES[name], abs=0.05)
        assert of.labels.mean() == pytest.approx(labels.mean(), abs=0.08)


def test_a_group_that_the_folder_tears_is_refused() -> None:
    for i in range(12):
        save(f"train/cat/p{i}_a.png", i)
        save(f"train/dog/q{i}_a.png", i + 20)
    save("test/cat/p3_b.png", 50)
    save("test/dog/r_b.png", 51)
    with pytest.raises(UserError, match=r"each must lie in one of the folder's own splits, but not so p3$"):
        stored(r"([pqr]\d*)_")


def test_a_split_that_is_missing_is_taken_by_groups() -> None:
    for i in range(40):
        save(f"train/{'cat' if i < 20 else 'dog'}/p{i // 2}_{i}.png", i)
    save("test/cat/p90_90.png", 90)
    save("test/dog/p91_91.png", 91)
    dataset = stored(r"p\d+")
    found = places(dataset)
    assert all(found[i] == found[i + 1] for i in range(0, 40, 2))
    assert dataset.sizes["valid"] in (4, 6, 8)
    assert dataset.sizes["train"] + dataset.sizes["valid"] == 40
    assert found[90] == found[91] == ["test"]


def test_units_are_joined_through_others() -> None:
    copy = splits.numbered("aabcde")
    group = splits.numbered("xyyzzw")
    assert splits.units(copy, group).tolist() == [0, 0, 0, 3, 3, 5]


@pytest.mark.parametrize("seed", range(5))
def test_single_ones_are_shared_out_by_their_shares(seed: int) -> None:
    labels = np.repeat(np.arange(3), (3, 20, 100))
    part = whole(Arrays(np.zeros((len(labels), 1, 1, 1), dtype=np.uint8), labels))
    shared = splits.share_out(part, np.arange(len(labels)), SHARES, "abc", seed)
    counts = {name: np.bincount(of.labels).tolist() for name, of in shared.items()}
    assert counts == {"train": [1, 14, 70], "test": [1, 3, 15], "valid": [1, 3, 15]}
    assert np.array_equal(np.sort(np.concatenate([of.rows for of in shared.values()])), part.rows)


def test_without_copies_and_groups_the_splits_are_those_of_hold_out() -> None:
    for i in range(60):
        save(f"{'cat' if i < 25 else 'dog'}/{i:02}.png", i)
    part = whole(Arrays(np.array([[picture(i)] for i in range(60)]), np.repeat([0, 1], (25, 35))))
    rest, test = splits.hold_out(part, 9, 7)
    train, valid = splits.hold_out(rest, 9, 7)
    for group in (None, r"\d+"):
        dataset = stored(group, seed=7)
        expected: dict[SplitName, Part] = {"train": train, "valid": valid, "test": test}
        for split, of in expected.items():
            assert np.array_equal(dataset.arrays(split).images, part.arrays.images[of.rows])


def test_no_more_than_a_few_images_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written of arrays is asked of them in parts of about a megabyte."""
    asked: list[int] = []

    class Rows(np.memmap):
        def __getitem__(self, index: Any) -> Any:
            found = super().__getitem__(index)
            asked.append(np.asarray(found).nbytes)
            return found

    images = np.random.default_rng(0).integers(0, 256, (300, 1, 128, 128), dtype=np.uint8)
    images.tofile("rows")
    rows = Rows("rows", np.uint8, "r", shape=images.shape)
    parted = datasets.Parted("ab", dict.fromkeys(SPLITS, whole(Arrays(rows, np.repeat([0, 1], 150)))))
    monkeypatch.setattr(datasets.OwnImages, "parted", lambda *_: parted)
    datasets.download(make_data(dataset="image_folder"), 0, Path("stored"))
    assert max(asked) <= 2**20
    assert np.array_equal(np.load("stored/train_images.npy"), images)


def test_a_regular_expression_and_a_range_are_checked() -> None:
    for changes, line in ({"group": "p("}, "regular expression"), ({"range": [9, 9]}, "black must be below white"):
        with pytest.raises(ValueError, match=re.escape(line)):
            Images.model_validate({"folder": "own", "size": [6, 5], "mode": "grey"} | changes)
    assert image_folder.LEAST == 10
