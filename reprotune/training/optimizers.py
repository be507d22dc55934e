"""OPTIMIZERS, and SCHEDULES: how lr goes over a training's steps."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from reprotune.training.models import Config, Share

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer as Torchs
    from torch.optim.lr_scheduler import LRScheduler


class Optimizer(NamedTuple):
    """An optimizer, and the hyperparameters that it alone has, under the names that torch gives them."""

    build: "Callable[..., Torchs]"
    own: Mapping[str, Any]


def adam(weights: "Iterable[Tensor]", **settings: Any) -> "Torchs":
    from reprotune.arithmetic import optimizers

    return optimizers.Adam(weights, fused=True, **settings)


def adamw(weights: "Iterable[Tensor]", **settings: Any) -> "Torchs":
    """Decouples weight_decay from the gradient."""
    from reprotune.arithmetic import optimizers

    return optimizers.AdamW(weights, fused=True, **settings)


def rmsprop(weights: "Iterable[nn.Parameter]", **settings: Any) -> "Torchs":
    from reprotune.arithmetic.rmsprop import RMSprop

    return RMSprop(weights, **settings)


def sgd(weights: "Iterable[Tensor]", **settings: Any) -> "Torchs":
    from reprotune.arithmetic import optimizers

    return optimizers.SGD(weights, fused=True, **settings)


_MOMENTUM: Mapping[str, Any] = {"momentum": Share}
OPTIMIZERS: dict[str, Optimizer] = {
    "Adam": Optimizer(adam, own={}),
    "AdamW": Optimizer(adamw, own={}),
    "RMSprop": Optimizer(rmsprop, own=_MOMENTUM),
    "SGD": Optimizer(sgd, own=_MOMENTUM),
}


def cosine(optimizer: "Torchs", steps: int) -> "LRScheduler":
    """To 0."""
    from torch.optim.lr_scheduler import CosineAnnealingLR

    return CosineAnnealingLR(optimizer, steps)


def one_cycle(optimizer: "Torchs", steps: int) -> "LRScheduler":
    """From lr / 25 up to lr over the first 30 % of the steps, then down to nearly 0."""
    from torch.optim.lr_scheduler import OneCycleLR

    return OneCycleLR(optimizer, optimizer.defaults["lr"], total_steps=steps, cycle_momentum=False)


# (optimizer, number of steps) → what is stepped after each of them.
SCHEDULES: "dict[str, Callable[[Torchs, int], LRScheduler | None]]" = {
    "constant": lambda optimizer, steps: None,
    "cosine": cosine,
    "one_cycle": one_cycle,
}


def new_optimizer(model: "nn.Module", config: Config) -> "Torchs":
    optimizer = OPTIMIZERS[config["optimizer"]]
    own = {name: config[name] for name in optimizer.own}
    return optimizer.build(model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"], **own)
