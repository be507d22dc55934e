"""Train one config: pure, so that the same config, seed and data give the same bits anywhere."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from reprotune.augmentation import AUGMENTATIONS, augmented
from reprotune.curve import Epoch
from reprotune.datasets import Inputs, Split
from reprotune.models import Config, Share, build


class Optimizer(NamedTuple):
    """An optimizer, and the hyperparameters that it alone has, under the names that torch gives them."""

    build: Callable[..., torch.optim.Optimizer]
    own: Mapping[str, Any]


_MOMENTUM: Mapping[str, Any] = {"momentum": Share}
OPTIMIZERS: dict[str, Optimizer] = {
    "Adam": Optimizer(partial(torch.optim.Adam, fused=True), own={}),
    "AdamW": Optimizer(partial(torch.optim.AdamW, fused=True), own={}),  # decouples weight_decay from the gradient
    "RMSprop": Optimizer(partial(torch.optim.RMSprop, foreach=True), own=_MOMENTUM),
    "SGD": Optimizer(partial(torch.optim.SGD, fused=True), own=_MOMENTUM),
}

# How lr goes over a training's steps: (optimizer, number of steps) → what is stepped after each of them.
SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, int], LRScheduler | None]] = {
    "constant": lambda optimizer, steps: None,
    "cosine": CosineAnnealingLR,  # to 0
    # From lr / 25 up to lr over the first 30 % of the steps, then down to nearly 0.
    "one_cycle": lambda optimizer, steps: OneCycleLR(
        optimizer, optimizer.defaults["lr"], total_steps=steps, cycle_momentum=False
    ),
}

# The hyperparameters that every model has: name → the type of a legal value.
HYPERPARAMETERS: Mapping[str, Any] = {
    "optimizer": Literal[tuple(OPTIMIZERS)],
    "lr": Annotated[float, Gt(0)],
    "batch_size": Annotated[int, Ge(1)],
    "epochs": Annotated[int, Ge(1)],
    "schedule": Literal[tuple(SCHEDULES)],
    "weight_decay": Annotated[float, Ge(0)],
    "label_smoothing": Share,
    "normalise": bool,
    **{name: augmentation.legal for name, augmentation in AUGMENTATIONS.items()},
}

_VALID_BATCH = 1024  # bounds the memory of a validation pass


class Diverged(ArithmeticError):
    """A loss became NaN or infinite."""


def new_model(config: Config, inputs: Inputs, seed: int) -> nn.Module:
    """A model with seeded initial weights. Raises ValueError where the config cannot be built."""
    torch.manual_seed(seed)
    return build(config, inputs)


def learning_curve(model: nn.Module, config: Config, train: Split, valid: Split, seed: int) -> Iterator[Epoch]:
    """Train, and yield each epoch's point as it is reached: who wants to prune stops iterating."""
    for epoch, train_loss in enumerate(fit(model, config, train, seed), start=1):
        valid_loss, valid_accuracy = score(model, valid)
        if not math.isfinite(train_loss + valid_loss):
            raise Diverged(f"loss became {train_loss + valid_loss} in epoch {epoch}")
        yield Epoch(train_loss, valid_loss, valid_accuracy)


def fit(model: nn.Module, config: Config, train: Split, seed: int) -> Iterator[float]:
    """Train for config["epochs"] epochs; yield the mean training loss of each. Batches are reshuffled every epoch.

    The model is trained where `train` lies. On a GPU, what torch has no repeatable kernel for is a RuntimeError.
    """
    device, examples = train.images.device, len(train.labels)
    if device.type == "cuda":  # on a CPU, all that is used here repeats its bits
        torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    optimizer = new_optimizer(model.to(device), config)
    schedule = SCHEDULES[config["schedule"]](optimizer, config["epochs"] * math.ceil(examples / config["batch_size"]))
    for _ in range(config["epochs"]):
        model.train()
        total = torch.zeros((), device=device)
        for batch in torch.split(torch.randperm(examples, device=device), config["batch_size"]):
            # index_select copies an image at once; indexing with [batch] goes pixel by pixel.
            images, labels = (tensor.index_select(0, batch) for tensor in train)
            logits = model(pixels(augmented(images, config)))
            loss = F.cross_entropy(logits, labels, label_smoothing=config["label_smoothing"])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            if schedule:
                schedule.step()
            total += loss.detach() * len(batch)
        yield total.item() / examples


def new_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    optimizer = OPTIMIZERS[config["optimizer"]]
    own = {name: config[name] for name in optimizer.own}
    return optimizer.build(model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"], **own)


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
