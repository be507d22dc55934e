"""RMSprop without MKL's square root, whose last bits depend on the processor's maker."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reprotune.arithmetic.optimizers import Eager

_ALPHA, _EPS = 0.99, 1e-8  # torch's own defaults


class RMSprop(Eager):
    """As torch.optim.RMSprop, with NumPy's square root on a CPU.

    v ← α v + (1 − α) g²; the step is g / (√v + ε), or its running sum b ← momentum · b + g / (√v + ε); w ← w − lr · it.
    """

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0, momentum: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            self._update(weights, [weight.grad for weight in weights], **group)

    def _update(self, weights: list[Tensor], gradients: list[Tensor], **group: Any) -> None:
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        squares = self._running("square_avg", weights)
        torch._foreach_mul_(squares, _ALPHA)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - _ALPHA)
        roots = [_root(square) for square in squares]
        torch._foreach_add_(roots, _EPS)
        if group["momentum"]:
            sums = self._running("momentum_buffer", weights)
            torch._foreach_mul_(sums, group["momentum"])
            torch._foreach_addcdiv_(sums, gradients, roots)
            torch._foreach_add_(weights, sums, alpha=-group["lr"])
        else:
            torch._foreach_addcdiv_(weights, gradients, roots, -group["lr"])

    def _running(self, name: str, weights: list[Tensor]) -> list[Tensor]:
        for weight in weights:
            if name not in self.state[weight]:
                self.state[weight][name] = torch.zeros_like(weight)
        return [self.state[weight][name] for weight in weights]


def _root(square: Tensor) -> Tensor:
    return torch.from_numpy(np.sqrt(square.numpy())) if square.device.type == "cpu" else square.sqrt()
