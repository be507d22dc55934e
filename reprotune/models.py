"""MODELS: config → nn.Module.

A config is one trial's hyperparameters by name. What a model has once a layer is numbered from 1:
`layers: 2` goes with `width_1`, `width_2`, `dropout_1`, `dropout_2`; a search space declares it once, as `width`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Lt
from torch import nn

Config = Mapping[str, Any]
Shape = tuple[int, int, int]  # channels, height, width

Count = Annotated[int, Ge(1)]
Probability = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class Model:
    """A model, and the hyperparameters that it alone has: name → the type of a legal value."""

    build: Callable[[Config, Shape, int], nn.Module]  # config, image shape, number of classes
    layers: str  # the hyperparameter that counts its layers
    per_layer: Mapping[str, Any]


def mlp(config: Config, shape: Shape, classes: int) -> nn.Module:
    """Linear, ReLU and dropout a hidden layer. (N, C, H, W) → logits (N, classes)."""
    parts: list[nn.Module] = [nn.Flatten()]
    features = shape[0] * shape[1] * shape[2]
    for width, dropout in _layers(config, "layers", "width", "dropout"):
        parts += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(dropout)]
        features = width
    return nn.Sequential(*parts, nn.Linear(features, classes))


def cnn(config: Config, shape: Shape, classes: int) -> nn.Module:
    """3×3 convolution, BatchNorm, ReLU, 2×2 max pooling and dropout a block. (N, C, H, W) → logits (N, classes)."""
    parts: list[nn.Module] = []
    channels, height, width = shape
    for out, dropout in _layers(config, "blocks", "channels", "dropout"):
        if min(height, width) < 2:
            raise ValueError(f"blocks = {config['blocks']}: too many for images of {shape[1]} × {shape[2]} pixels")
        parts += [nn.Conv2d(channels, out, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
        parts += [nn.MaxPool2d(2), nn.Dropout(dropout)]
        channels, height, width = out, height // 2, width // 2
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * height * width, classes))


def _layers(config: Config, count: str, *names: str) -> Iterator[tuple[Any, ...]]:
    return (tuple(config[f"{name}_{layer}"] for name in names) for layer in range(1, config[count] + 1))


MODELS: dict[str, Model] = {
    "mlp": Model(mlp, layers="layers", per_layer={"width": Count, "dropout": Probability}),
    "cnn": Model(cnn, layers="blocks", per_layer={"channels": Count, "dropout": Probability}),
}


def build(config: Config, shape: Shape, classes: int) -> nn.Module:
    """Raises ValueError where the config cannot be built for images of this shape."""
    return MODELS[config["model"]].build(config, shape, classes)
