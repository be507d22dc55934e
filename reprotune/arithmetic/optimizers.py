"""torch's optimizers, without the compiler that they import: it takes as long as two thirds of torch, and is not used.

Each is torch's own under the decorators that lead to the compiler; the bits are the same.
"""

import inspect
from typing import Any

import torch


class Eager(torch.optim.Optimizer):
    """To be named before the optimizer of torch's that a class is made from."""

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class Adam(Eager, torch.optim.Adam):
    _step = inspect.unwrap(torch.optim.Adam.step)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is None
        self._step()


class AdamW(Adam, torch.optim.AdamW):
    pass


class SGD(Eager, torch.optim.SGD):
    _step = inspect.unwrap(torch.optim.SGD.step)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is None
        self._step()
