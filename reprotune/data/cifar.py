"""CIFAR-10: its original files, and how they are read."""

import numpy as np

from reprotune.data.fetch import Source, fetch
from reprotune.data.images import Arrays

_FOLDER = "cifar-10-batches-bin"

# The binary version. torchvision's CIFAR10 reads the Python version, whose files are pickles: to read one is to run it.
CIFAR10 = Source(
    "cifar10",
    {
        f"{_FOLDER}/data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        f"{_FOLDER}/data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        f"{_FOLDER}/data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        f"{_FOLDER}/data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        f"{_FOLDER}/data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        f"{_FOLDER}/test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
    lambda: (["https://www.cs.toronto.edu/~kriz"], {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"}),
    archive="cifar-10-binary.tar.gz",
)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar10(mirror: str | None) -> tuple[Arrays, Arrays]:
    """(training, test) images of 3 × 32 × 32: a record is a byte for the label, then a plane for each colour."""
    *train, test = (np.frombuffer(content, np.uint8).reshape(-1, 3073) for content in fetch(CIFAR10, mirror))
    return _records(np.concatenate(train)), _records(test)


def _records(records: np.ndarray) -> Arrays:
    return Arrays(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64))
