"""Dropout whose random numbers cost a tenth of torch's on a CPU, and are the same on every processor."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

LEVELS = 2**16  # the probability is rounded to a multiple of 1 / LEVELS


class Dropout(nn.Dropout):
    """Zeroes values with probability p and divides the others by 1 − p, so that the expectation stays. 0 ≤ p < 1.

    On a GPU it is torch's own. `seed` says which values, on a CPU.
    """

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self._dropped = min(round(p * LEVELS), LEVELS - 1)  # levels of a random number
        self.seed(0)

    def seed(self, *entropy: int) -> None:
        self._bits = np.random.SFC64(entropy)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.device.type != "cpu":
            return super().forward(x)
        return x * self._mask(self._decided_together(x.shape))

    def _decided_together(self, shape: Sequence[int]) -> Sequence[int]:
        """The shape of a mask for values of this shape."""
        return shape

    def _mask(self, shape: Sequence[int]) -> Tensor:
        count = math.prod(shape)
        numbers = self._bits.random_raw(-(-count // 4)).view(np.uint16)[:count]  # four of a raw one's 64 bits
        kept = (numbers >= self._dropped).astype(np.float32)
        kept *= np.float32(LEVELS / (LEVELS - self._dropped))
        return torch.from_numpy(kept).view(*shape)


class Dropout2d(Dropout):
    """The same, of whole channels: x is (N, channels, height, width)."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.device.type != "cpu":
            return nn.functional.dropout2d(x, self.p)
        return super().forward(x)

    def _decided_together(self, shape: Sequence[int]) -> Sequence[int]:
        return (*shape[:2], 1, 1)


def seed(model: nn.Module, entropy: int) -> None:
    """Seed each of the model's dropouts, with a stream of its own."""
    for number, layer in enumerate(_layers(model)):
        layer.seed(entropy, number)


def states(model: nn.Module) -> list[list[int]]:
    """Where each of these streams is."""
    return [layer._bits.state["state"]["state"].tolist() for layer in _layers(model)]


def restore(model: nn.Module, states: list[list[int]]) -> None:
    for layer, state in zip(_layers(model), states, strict=True):
        known = layer._bits.state
        layer._bits.state = known | {"state": {"state": np.array(state, np.uint64)}}


def _layers(model: nn.Module) -> Iterator[Dropout]:
    return (module for module in model.modules() if isinstance(module, Dropout))
