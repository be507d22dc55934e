"""MODELS: config → nn.Module.

A config is one trial's hyperparameters by name. What a model has once a layer is numbered from 1:
`layers: 2` goes with `width_1`, `width_2`, `dropout_1`, `dropout_2`; a search space declares it once, as `width`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Le, Lt

from reprotune.data.images import Inputs

if TYPE_CHECKING:
    from torch import nn

Config = Mapping[str, Any]

Count = Annotated[int, Ge(1)]
Depth = Annotated[int, Ge(1), Le(100)]
Odd = Literal[1, 3, 5, 7, 9, 11]
Share = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class Model:
    """A model, and the hyperparameters that it alone has: name → the type of a legal value."""

    build: "Callable[[Config, Inputs], nn.Module]"
    layers: str  # the hyperparameter that counts its layers
    per_layer: Mapping[str, Any]
    per_model: Mapping[str, Any]
    cost: frozenset[str]  # those of them that its cost depends on


def mlp(config: Config, inputs: Inputs, batch_norm: bool = False) -> "nn.Module":
    """Linear, BatchNorm if so chosen, ReLU and dropout a hidden layer. (N, C, H, W) → logits (N, classes)."""
    from torch import nn

    from reprotune.arithmetic.dropout import Dropout
    from reprotune.arithmetic.layers import Linear

    if batch_norm and config["batch_size"] == 1:
        raise ValueError("batch_size = 1: BatchNorm needs two values of a neuron")
    parts: list[nn.Module] = [nn.Flatten()]
    channels, height, width = inputs.shape
    features = channels * height * width
    for units, dropout in _layers(config, "layers", "width", "dropout"):
        parts += [
            Linear(features, units),
            *([nn.BatchNorm1d(units)] if batch_norm else []),
            nn.ReLU(),
            Dropout(dropout),
        ]
        features = units
    return nn.Sequential(*parts, Linear(features, inputs.classes))


def cnn(config: Config, inputs: Inputs, residual: bool = False) -> "nn.Module":
    """Convolution, 2×2 max pooling, BatchNorm, ReLU, dropout of channels a block. (N, C, H, W) → logits (N, classes).

    Pooling comes first, so that the others have a quarter of the values: 1.5 times as fast on a CPU. `residual`: a
    residual convolution (He et al. 2016) before the dropout of every block but the last.
    """
    import torch
    from torch import nn

    from reprotune.arithmetic.dropout import Dropout2d
    from reprotune.arithmetic.layers import Conv2d, Linear, Residual

    parts: list[nn.Module] = []
    channels, height, width = inputs.shape
    blocks, kernel = config["blocks"], config["kernel"]
    for block, (out, dropout) in enumerate(_layers(config, "blocks", "channels", "dropout"), start=1):
        if min(height, width) < 2:
            size = " × ".join(str(side) for side in inputs.shape[1:])
            raise ValueError(f"blocks = {blocks}: too many for images of {size} pixels")
        parts += [Conv2d(channels, out, kernel, padding=kernel // 2, bias=False), nn.MaxPool2d(2)]
        parts += [nn.BatchNorm2d(out), nn.ReLU()]
        if residual and block < blocks:
            same = Conv2d(out, out, kernel, padding=kernel // 2, bias=False)
            parts += [Residual(same, nn.BatchNorm2d(out)), nn.ReLU()]
        parts += [Dropout2d(dropout)]
        channels, height, width = out, height // 2, width // 2
        if config["batch_size"] * height * width == 1:
            raise ValueError(
                "batch_size = 1: BatchNorm needs two values of a channel, and the last images are one pixel"
            )
    if config["pooling"] == "average":
        parts, height, width = [*parts, nn.AdaptiveAvgPool2d(1)], 1, 1
    model = nn.Sequential(*parts, nn.Flatten(), Linear(channels * height * width, inputs.classes))
    return model.to(memory_format=torch.channels_last)  # 1.4 to 1.6 times as fast on a CPU


def _layers(config: Config, count: str, *names: str) -> Iterator[tuple[Any, ...]]:
    return (tuple(config[f"{name}_{layer}"] for name in names) for layer in range(1, config[count] + 1))


_MLP = Model(
    mlp,
    layers="layers",
    per_layer={"width": Count, "dropout": Share},
    per_model={},
    cost=frozenset({"layers", "width"}),
)
_CNN = Model(
    cnn,
    layers="blocks",
    per_layer={"channels": Count, "dropout": Share},
    per_model={"kernel": Odd, "pooling": Literal["flatten", "average"]},  # pooling: of the last block's output
    cost=frozenset({"blocks", "channels", "kernel", "pooling"}),
)
MODELS: dict[str, Model] = {
    "mlp": _MLP,
    "mlp_bn": replace(_MLP, build=partial(mlp, batch_norm=True)),
    "cnn": _CNN,
    "resnet": replace(_CNN, build=partial(cnn, residual=True)),
}


def build(config: Config, inputs: Inputs) -> "nn.Module":
    """Raises ValueError where the config cannot be built for images of this shape."""
    from torch import nn

    from reprotune.arithmetic.layers import Normalise

    model = MODELS[config["model"]].build(config, inputs)
    return nn.Sequential(Normalise(inputs.mean, inputs.std), model) if config["normalise"] else model


def meta_model(config: Config, inputs: Inputs) -> "nn.Module":
    """The model on torch's meta device: its shapes without its memory. Raises ValueError as `build` does."""
    import torch

    try:
        with torch.device("meta"):
            return build(config, inputs)
    except (RuntimeError, TypeError) as error:  # a size beyond what any tensor can have
        raise ValueError(f"too large to be built: {str(error).splitlines()[0]}") from None
