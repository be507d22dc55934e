"""The same configs trained without this pipeline, and without tracking: what its speed is compared with.

    python -m benchmarks.loops usual|skilled|products CONFIGS.json DATASET_FOLDER

prints the seconds that all of them took, without imports and reading. It imports nothing of reprotune, which would
hold the libraries to its kernels and threads. A loop yields the accuracy on valid after each epoch.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

Config = Mapping[str, Any]


class Split(NamedTuple):
    images: Tensor  # uint8, (N, 1, height, width)
    labels: Tensor


class Images(Dataset[tuple[Tensor, int]]):
    """An example as torchvision's MNIST gives it: through PIL and ToTensor."""

    def __init__(self, split: Split) -> None:
        from torchvision.transforms import ToTensor

        self._split, self._transform = split, ToTensor()

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self._split.images[index, 0].numpy())
        return self._transform(image), int(self._split.labels[index])

    def __len__(self) -> int:
        return len(self._split.labels)


def sizes(config: Config, train: Split) -> list[int]:
    """Features of the input, of each hidden layer, and classes."""
    widths = [config[f"width_{layer}"] for layer in range(1, config["layers"] + 1)]
    return [train.images[0].numel(), *widths, int(train.labels.max()) + 1]


def model_of(config: Config, train: Split) -> nn.Module:
    parts: list[nn.Module] = [nn.Flatten()]
    *hidden, last = pairwise(sizes(config, train))
    for layer, (features, width) in enumerate(hidden, start=1):
        parts += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(config[f"dropout_{layer}"])]
    return nn.Sequential(*parts, nn.Linear(*last))


def usual(config: Config, train: Split, valid: Split) -> Iterator[float]:
    """As Optuna's PyTorch example does it: DataLoaders, and PyTorch's own defaults."""
    model = model_of(config, train)
    optimizer = getattr(torch.optim, config["optimizer"])(model.parameters(), lr=config["lr"])
    loader, valid_loader = (
        DataLoader(Images(split), batch_size=config["batch_size"], shuffle=True) for split in (train, valid)
    )
    for _ in range(config["epochs"]):
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(model(images), labels))
            optimizer.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in valid_loader:
                correct += int((model(images).argmax(dim=1) == labels).sum())
        yield correct / len(valid.labels)


def skilled(config: Config, train: Split, valid: Split) -> Iterator[float]:
    """Tensors in memory, index_select, fused optimizers, valid in one pass, one thread."""
    torch.set_num_threads(1)
    images, valid_images = train.images.float() / 255, valid.images.float() / 255
    model = model_of(config, train)
    fused = {"foreach": True} if config["optimizer"] == "RMSprop" else {"fused": True}
    optimizer = getattr(torch.optim, config["optimizer"])(model.parameters(), lr=config["lr"], **fused)
    for _ in range(config["epochs"]):
        model.train()
        for batch in torch.split(torch.randperm(len(images)), config["batch_size"]):
            logits = model(images.index_select(0, batch))
            optimizer.zero_grad()
            torch.autograd.backward(F.cross_entropy(logits, train.labels.index_select(0, batch)))
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            correct = int((model(valid_images).argmax(dim=1) == valid.labels).sum())
        yield correct / len(valid.labels)


def products(config: Config, train: Split, valid: Split) -> Iterator[float]:
    """The matrix products alone, of the same shapes, forward and backward, one thread. They learn nothing."""
    torch.set_num_threads(1)
    shapes = list(pairwise(sizes(config, train)))
    weights = [torch.rand(width, features) for features, width in shapes]
    rows = max(config["batch_size"], len(valid.labels))
    values = [torch.rand(rows, features) for features in sizes(config, train)]
    batches = [len(batch) for batch in torch.split(train.labels, config["batch_size"])]
    for _ in range(config["epochs"]):
        for size in batches:
            for layer, weight in enumerate(weights):
                before, after = values[layer][:size], values[layer + 1][:size]
                torch.mm(before, weight.T)
                torch.mm(after.T, before)  # the gradient of the weights
                if layer:
                    torch.mm(after, weight)  # the gradient of what the layer was given
        for layer, weight in enumerate(weights):
            torch.mm(values[layer][: len(valid.labels)], weight.T)
        yield 0.0


def read(folder: Path, name: str) -> Split:
    return Split(*(torch.from_numpy(np.load(folder / f"{name}_{kind}.npy")) for kind in Split._fields))


LOOPS: dict[str, Callable[[Config, Split, Split], Iterator[float]]] = {
    "usual": usual,
    "skilled": skilled,
    "products": products,
}


def main() -> None:
    name, configs, folder = sys.argv[1:]
    train, valid = (read(Path(folder), split) for split in ("train", "valid"))
    first, *rest = json.loads(Path(configs).read_text(encoding="utf-8"))
    list(LOOPS[name]({**first, "epochs": 1}, train, valid))  # imports what torch imports late
    started = time.perf_counter()
    for config in (first, *rest):
        list(LOOPS[name](config, train, valid))
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
