"""What a stored dataset is made of, for a person to see: beside its files, and in MLflow."""

import numpy as np

from reprotune.artifacts import replacing, write_csv
from reprotune.datasets import SplitName, StoredDataset
from reprotune.tracking import parent_run

SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")
FILES = ("dataset.json", "class_balance.csv", "samples.png")
_ROWS, _COLUMNS = 10, 8  # of the sheet: classes, and samples of each


def sizes(dataset: StoredDataset) -> dict[str, int]:
    return {split: len(dataset.load(split).labels) for split in SPLITS}


def write(dataset: StoredDataset) -> None:
    """class_balance.csv and samples.png, beside the dataset's files."""
    counts = [np.bincount(dataset.load(split).labels, minlength=len(dataset.classes)).tolist() for split in SPLITS]
    rows = zip(dataset.classes, *counts, strict=True)
    write_csv(dataset.folder / "class_balance.csv", ("class", *SPLITS), rows)
    _write_samples(dataset)


def _write_samples(dataset: StoredDataset) -> None:
    """A row a class: the first images of it that the train split has."""
    from PIL import Image

    images, labels = (tensor.numpy() for tensor in dataset.load("train"))
    channels, height, width = dataset.shape
    rows = min(_ROWS, len(dataset.classes))
    sheet = np.zeros((rows * height, _COLUMNS * width, channels), dtype=np.uint8)
    for row in range(rows):
        for column, index in enumerate(np.flatnonzero(labels == row)[:_COLUMNS]):
            y, x = row * height, column * width
            sheet[y : y + height, x : x + width] = images[index].transpose(1, 2, 0)
    with replacing(dataset.folder / "samples.png") as temporary:
        # Not compressed: how well that is done differs between processors, and so do the bytes.
        Image.fromarray(sheet if channels == 3 else sheet[..., 0]).save(temporary, format="PNG", compress_level=0)


def track(dataset: StoredDataset) -> None:
    """The dataset's run in MLflow: one for each digest."""
    params = {"dataset": dataset.name, "digest": dataset.digest, **sizes(dataset)}
    with parent_run("download", dataset.digest, params) as parent, parent.surviving():
        for name in FILES:
            parent.log_file(dataset.folder / name)
