"""Train one config: pure, so that the same config, seed and data give the same bits anywhere."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F

from reprotune.datasets import Split
from reprotune.models import Config, Shape, build

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "Adam": partial(torch.optim.Adam, fused=True),
    "RMSprop": partial(torch.optim.RMSprop, foreach=True),
    "SGD": partial(torch.optim.SGD, fused=True),
}

# The hyperparameters that every model has: name → the type of a legal value.
HYPERPARAMETERS: Mapping[str, Any] = {
    "optimizer": Literal[tuple(OPTIMIZERS)],
    "lr": Annotated[float, Gt(0)],
    "batch_size": Annotated[int, Ge(1)],
    "epochs": Annotated[int, Ge(1)],
}

_VALID_BATCH = 4096  # bounds the memory of a validation pass


class Diverged(ArithmeticError):
    """A loss became NaN or infinite."""


class Epoch(NamedTuple):
    """One point of a learning curve: mean cross entropy (nats) while training and on valid; share correct."""

    train_loss: float
    valid_loss: float
    valid_accuracy: float


def new_model(config: Config, shape: Shape, classes: int, seed: int) -> nn.Module:
    """A model with seeded initial weights. Raises ValueError where the config cannot be built."""
    torch.manual_seed(seed)
    return build(config, shape, classes)


def learning_curve(model: nn.Module, config: Config, train: Split, valid: Split, seed: int) -> Iterator[Epoch]:
    """Train, and yield each epoch's point as it is reached: who wants to prune stops iterating."""
    for epoch, train_loss in enumerate(fit(model, config, train, seed), start=1):
        valid_loss, valid_accuracy = score(model, valid)
        if not math.isfinite(train_loss + valid_loss):
            raise Diverged(f"loss became {train_loss + valid_loss} in epoch {epoch}")
        yield Epoch(train_loss, valid_loss, valid_accuracy)


def fit(model: nn.Module, config: Config, train: Split, seed: int) -> Iterator[float]:
    """Train for config["epochs"] epochs; yield the mean training loss of each. Batches are reshuffled every epoch."""
    torch.manual_seed(seed)
    optimizer = OPTIMIZERS[config["optimizer"]](model.parameters(), lr=config["lr"])
    examples = len(train.labels)
    for _ in range(config["epochs"]):
        model.train()
        total = torch.zeros(())
        for batch in torch.split(torch.randperm(examples), config["batch_size"]):
            loss = F.cross_entropy(model(pixels(train.images[batch])), train.labels[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.detach() * len(batch)
        yield total.item() / examples


@torch.inference_mode()
def score(model: nn.Module, split: Split) -> tuple[float, float]:
    """(mean cross entropy in nats, share of examples classified correctly)."""
    model.eval()
    loss, correct, examples = 0.0, 0, len(split.labels)
    batches = (torch.split(tensor, _VALID_BATCH) for tensor in split)
    for images, labels in zip(*batches, strict=True):
        logits = model(pixels(images))
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        correct += int((logits.argmax(dim=1) == labels).sum())
    return loss / examples, correct / examples


def pixels(images: Tensor) -> Tensor:
    """uint8 0 … 255 → float32 0 … 1."""
    return images.float().div_(255)
