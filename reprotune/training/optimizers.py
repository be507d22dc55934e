"""OPTIMIZERS, and SCHEDULES: how lr goes over a training's steps."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from reprotune.arithmetic import optimizers
from reprotune.arithmetic.rmsprop import RMSprop
from reprotune.training.models import Config, Share


class Optimizer(NamedTuple):
    """An optimizer, and the hyperparameters that it alone has, under the names that torch gives them."""

    build: Callable[..., torch.optim.Optimizer]
    own: Mapping[str, Any]


_MOMENTUM: Mapping[str, Any] = {"momentum": Share}
OPTIMIZERS: dict[str, Optimizer] = {
    "Adam": Optimizer(partial(optimizers.Adam, fused=True), own={}),
    "AdamW": Optimizer(partial(optimizers.AdamW, fused=True), own={}),  # decouples weight_decay from the gradient
    "RMSprop": Optimizer(RMSprop, own=_MOMENTUM),
    "SGD": Optimizer(partial(optimizers.SGD, fused=True), own=_MOMENTUM),
}

# (optimizer, number of steps) → what is stepped after each of them.
SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, int], LRScheduler | None]] = {
    "constant": lambda optimizer, steps: None,
    "cosine": CosineAnnealingLR,  # to 0
    # From lr / 25 up to lr over the first 30 % of the steps, then down to nearly 0.
    "one_cycle": lambda optimizer, steps: OneCycleLR(
        optimizer, optimizer.defaults["lr"], total_steps=steps, cycle_momentum=False
    ),
}


def new_optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    optimizer = OPTIMIZERS[config["optimizer"]]
    own = {name: config[name] for name in optimizer.own}
    return optimizer.build(model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"], **own)
