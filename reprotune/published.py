"""Published datasets: what their original files must be, and how these are read."""

from collections.abc import Mapping, Sequence

import numpy as np

from reprotune.originals import Originals, read
from reprotune.splits import Arrays

_CIFAR = "cifar-10-batches-bin"


def _torchvision(name: str) -> tuple[Sequence[str], Mapping[str, str]]:
    from torchvision import datasets

    source = getattr(datasets, name)
    return source.mirrors, dict(source.resources)


MNIST = Originals(
    "mnist",
    {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    lambda: _torchvision("MNIST"),
)
FASHION_MNIST = Originals(
    "fashion_mnist",
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    lambda: _torchvision("FashionMNIST"),
)
# The binary version. torchvision's CIFAR10 reads the Python version, whose files are pickles: to read one is to run it.
CIFAR10 = Originals(
    "cifar10",
    {
        f"{_CIFAR}/data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        f"{_CIFAR}/data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        f"{_CIFAR}/data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        f"{_CIFAR}/data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        f"{_CIFAR}/data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        f"{_CIFAR}/test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
    lambda: (["https://www.cs.toronto.edu/~kriz"], {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"}),
    archive="cifar-10-binary.tar.gz",
)


def idx(originals: Originals, mirror: str | None) -> tuple[Arrays, Arrays]:
    """(training, test) images of 28 × 28: after a header of 16 bytes (labels: 8), a byte a pixel or label."""
    contents = read(originals, mirror)
    images = [np.frombuffer(content, np.uint8, offset=16).reshape(-1, 1, 28, 28) for content in contents[::2]]
    labels = [np.frombuffer(content, np.uint8, offset=8).astype(np.int64) for content in contents[1::2]]
    return Arrays(images[0], labels[0]), Arrays(images[1], labels[1])


def cifar(originals: Originals, mirror: str | None) -> tuple[Arrays, Arrays]:
    """(training, test) images of 3 × 32 × 32: a record is a byte for the label, then a plane for each colour."""
    *train, test = (np.frombuffer(content, np.uint8).reshape(-1, 3073) for content in read(originals, mirror))
    return _records(np.concatenate(train)), _records(test)


def _records(records: np.ndarray) -> Arrays:
    return Arrays(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64))
