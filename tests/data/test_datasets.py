import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import blobs, make_data

from reprotune.artifacts import read_csv, read_json
from reprotune.data import datasets, splits
from reprotune.data.datasets import Dataset
from reprotune.data.images import Arrays, whole
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.params import Data


def data(**changes: object) -> Data:
    return make_data(**{"dataset": "mnist_5k"} | changes)


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    """The 5,000 digits are text that takes 2 s to read."""
    with pytest.MonkeyPatch.context() as patch:
        shipped = datasets.DATASETS["mnist_5k"]
        assert isinstance(shipped, Dataset)
        read = cache(partial(shipped.fetch, data()))
        patch.setitem(datasets.DATASETS, "mnist_5k", replace(shipped, fetch=lambda _: read()))
        yield


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> StoredDataset:
    folder = tmp_path_factory.mktemp("digits")
    datasets.download(data(), 0, folder)
    return StoredDataset(folder)


def test_the_real_digits(digits: StoredDataset) -> None:
    sizes = {"train": 3500, "valid": 750, "test": 750}
    seen = set()
    for name, size in sizes.items():
        split = digits.load(name)  # type: ignore[arg-type]
        assert split.images.shape == (size, 1, 28, 28)
        assert split.images.dtype == torch.uint8
        assert split.images.max() == 255
        assert torch.bincount(split.labels).tolist() == [size // 10] * 10
        seen |= {image.numpy().tobytes() for image in split.images}
    assert len(seen) > 4990  # all but a few twins of the 5,000 are in exactly one split
    assert digits.classes == tuple("0123456789")


def test_the_same_seed_gives_the_same_digest(digits: StoredDataset, tmp_path: Path) -> None:
    datasets.download(data(), 0, tmp_path / "again")
    datasets.download(data(), 1, tmp_path / "other")
    assert StoredDataset(tmp_path / "again").digest == digits.digest
    assert StoredDataset(tmp_path / "other").digest != digits.digest


def test_a_part_is_stratified(tmp_path: Path) -> None:
    datasets.download(data(train_examples=500, valid_examples=50), 0, tmp_path)
    stored = StoredDataset(tmp_path)
    assert torch.bincount(stored.load("train").labels).tolist() == [50] * 10
    assert torch.bincount(stored.load("valid").labels).tolist() == [5] * 10
    assert len(stored.load("test").labels) == 750


@pytest.mark.parametrize(("count", "allowed"), [(5, "from 10 to 3490"), (3499, "from 10 to 3490"), (9999, "3490")])
def test_an_impossible_part_is_refused(tmp_path: Path, count: int, allowed: str) -> None:
    with pytest.raises(
        UserError, match=f"data.train_examples = {count}: must be {'from 10' if count < 9999 else ''}"
    ) as e:
        datasets.download(data(train_examples=count), 0, tmp_path)
    assert allowed in str(e.value)
    assert list(tmp_path.iterdir()) == []


def test_a_part_cannot_be_taken_where_a_class_has_one_image() -> None:
    labels = np.array([0] * 9 + [1])
    part = whole(Arrays(np.zeros((10, 1, 2, 2), dtype=np.uint8), labels))
    assert len(splits.stratified_part(part, None, 0, "data.valid_examples").labels) == 10
    with pytest.raises(UserError, match=r"data.valid_examples = 5: must be null for all 10, as one class has a single"):
        splits.stratified_part(part, 5, 0, "data.valid_examples")


def test_a_part_without_a_rare_class_is_refused() -> None:
    part = whole(Arrays(np.zeros((707, 1, 2, 2), dtype=np.uint8), np.array([0] * 700 + [1] * 7)))
    with pytest.raises(UserError, match=r"data.train_examples = 20: must be 101 or more, or null for all 707, so that"):
        splits.stratified_part(part, 20, 0, "data.train_examples")
    assert np.bincount(splits.stratified_part(part, 101, 0, "data.train_examples").labels).tolist() == [100, 1]


def test_an_unknown_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.dataset = 'imagenet': must be one of mnist_5k"):
        datasets.download(data(dataset="imagenet"), 0, tmp_path)


def test_an_official_test_set_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything, _ = blobs()
    official = Arrays(*(array[::10] for array in everything))
    fetched = Dataset(lambda _: (everything, official), valid=80, test=0, classes=tuple("abcd"))
    monkeypatch.setitem(datasets.DATASETS, "official", fetched)
    datasets.download(data(dataset="official"), 0, tmp_path)
    test = StoredDataset(tmp_path).load("test")
    assert np.array_equal(test.images.numpy(), official.images)
    assert len(StoredDataset(tmp_path).load("train").labels) == 320


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    datasets.download(data(train_examples=100), 0, tmp_path)
    StoredDataset(tmp_path).verify()
    with (tmp_path / "train_images.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    with pytest.raises(UserError, match=r"train_images.npy: is damaged"):
        StoredDataset(tmp_path).verify()


def test_mean_and_std_are_those_of_the_train_split(digits: StoredDataset) -> None:
    pixels = digits.load("train").images.double() / 255
    assert digits.mean == pytest.approx([pixels.mean().item()], abs=1e-6)
    assert digits.std == pytest.approx([pixels.std(correction=0).item()], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"digest": None}, "digest: Input should be a valid string"),
        ({"shape": [1, 28]}, "shape.2: Field required"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ("mean", "mean: Field required"),
        ("", "it: Invalid JSON"),
    ],
)
def test_a_damaged_description(digits: StoredDataset, tmp_path: Path, change: object, line: str) -> None:
    content = read_json(digits.folder / "dataset.json")
    if isinstance(change, dict):
        content |= change
    elif change:
        del content[change]
    (tmp_path / "dataset.json").write_text(json.dumps(content)[: None if change else -1])
    with pytest.raises(UserError) as refused:
        StoredDataset(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / 'dataset.json'}: {line}")
    assert str(refused.value).endswith("; `dvc repro -f download` makes it again")


def test_a_folder_without_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no dataset"):
        StoredDataset(tmp_path)


def test_the_class_balance(dataset: StoredDataset) -> None:
    rows = read_csv(dataset.folder / "class_balance.csv")
    assert rows == [{"class": name, "train": "60", "valid": "20", "test": "20"} for name in "abcd"]
    assert dataset.sizes == {"train": 240, "valid": 80, "test": 80}
