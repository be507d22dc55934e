"""Layers whose products have the same bits on every processor.

On a CPU, torch's matrix products are MKL's, which has other kernels for Intel than for AMD, whatever it is told.
NumPy's are OpenBLAS's, which is held to one core type. Convolutions are oneDNN's, but for two kinds: those of one
image, and those with a kernel of one pixel. On a GPU and on the meta device all is torch's own.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._C import _len_torch_dispatch_stack
from torch.nn import functional as F


class Linear(nn.Linear):
    """x (N, in) → (N, out), as nn.Linear."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias) if _is_torchs(x) else product(x, self.weight, self.bias)


class Conv2d(nn.Conv2d):
    """As nn.Conv2d, with a stride and a dilation of 1 and in one group."""

    def forward(self, x: Tensor) -> Tensor:
        if _is_torchs(x):
            return super().forward(x)
        if self.kernel_size == (1, 1):  # a product for each pixel
            images, channels, height, width = x.shape
            pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
            y = product(pixels, self.weight.flatten(1), self.bias)
            return y.view(images, height, width, -1).permute(0, 3, 1, 2)
        if len(x) == 1:  # two go to oneDNN
            return super().forward(torch.cat([x, x]))[:1]
        return super().forward(x)


class Normalise(nn.Module):
    """Pixels of 0 … 1 → mean 0, standard deviation 1 a channel over train; its constants go with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        # A channel that is the same everywhere stays finite.
        self.register_buffer("std", torch.tensor(std).clamp(min=1 / 255).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean).div_(self.std)


class Residual(nn.Module):
    """x → x + what `parts` make of it, in the same shape."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast("Tensor", self.parts(x))


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Give x (N, in) · weightᵀ (in, out) + bias (out), on a CPU."""
    return _Product.apply(x, weight, bias)  # type: ignore[no-any-return]


class _Product(torch.autograd.Function):
    """By NumPy, on the tensors' own memory. It has no second derivative: NumPy refuses a gradient that has a graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.x, ctx.weight = x.numpy(), weight.numpy()
        y = torch.from_numpy(ctx.x.dot(ctx.weight.T))
        return y if bias is None else y.add_(bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        g = gradient.numpy()
        of_x = torch.from_numpy(g.dot(ctx.weight)) if ctx.needs_input_grad[0] else None
        return of_x, torch.from_numpy(g.T.dot(ctx.x)), gradient.sum(0) if ctx.needs_input_grad[2] else None


def _is_torchs(x: Tensor) -> bool:
    """Whether torch is to compute it: not on a CPU, or seen by a counter of FLOPs, which knows torch's operations."""
    if x.device.type != "cpu":
        return True
    if not _len_torch_dispatch_stack():
        return False
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack
    from torch.utils.flop_counter import _FlopCounterMode

    return any(isinstance(mode, _FlopCounterMode) for mode in _get_current_dispatch_mode_stack())
