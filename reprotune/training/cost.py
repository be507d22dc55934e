"""What a model costs: multiply-accumulates and floating-point operations for one example, and parameters."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

from reprotune.data.images import Inputs, Shape
from reprotune.training.models import Config, meta_model

if TYPE_CHECKING:
    from torch import nn

# Parameters of a model that is given memory: on the meta device, torch imports its compiler, which takes a second.
_SMALL = 2**24


class Cost(NamedTuple):
    flops: int  # 2 × macs: a multiply and an add
    macs: int  # as thop counts them: bias and activations are not counted
    parameters: int


class Caps(NamedTuple):
    """The most that a model may cost; None: as much as it likes."""

    max_flops: int | None = None
    max_parameters: int | None = None

    @property
    def given(self) -> dict[str, int]:
        return {name: cap for name, cap in self._asdict().items() if cap is not None}

    def of(self, cost: str) -> int | None:
        """cost: flops, parameters"""
        return self.given.get(f"max_{cost}")

    def excess(self, cost: Cost) -> dict[str, float]:
        """Cap → by what share of it the cost is above it; 0 or less if it is not."""
        return {name: getattr(cost, name.removeprefix("max_")) / cap - 1 for name, cap in self.given.items()}

    def broken(self, cost: Cost) -> str:
        """max_flops: 123456 above 100000; empty if no cap is."""
        above = ((name, getattr(cost, name.removeprefix("max_")), cap) for name, cap in self.given.items())
        return "; ".join(f"{name}: {reached} above {cap}" for name, reached, cap in above if reached > cap)


_Key = tuple[frozenset[tuple[str, object]], Inputs]
_known: dict[_Key, Cost] = {}


def cost_of(config: Config, inputs: Inputs) -> Cost:
    """Without memory for its weights. Raises ValueError where the config cannot be built."""
    key = frozenset(config.items()), inputs
    if key not in _known:
        _known[key] = measure(meta_model(config, inputs), inputs.shape)
    return _known[key]


def known(configs: Iterable[Config], inputs: Inputs) -> Mapping[_Key, Cost]:
    """What they cost, as `know` takes it; without those that cannot be built, or take more memory than there is."""
    for config in configs:
        with suppress(ValueError, RuntimeError, MemoryError):
            cost_of(config, inputs)
    return _known


def know(costs: Mapping[_Key, Cost]) -> None:
    """Take them from another process, which has imported torch."""
    _known.update(costs)


def measure(model: "nn.Module", shape: Shape) -> Cost:
    """The cost of one example of this shape. The model may be on the meta device."""
    import thop
    import torch
    from thop.vision.basic_hooks import count_convNd, count_linear, zero_ops

    from reprotune.arithmetic.dropout import Dropout, Dropout2d
    from reprotune.arithmetic.layers import Conv2d, Linear

    # thop has its rules by a layer's own class, not by what it inherits.
    counted_as = {Linear: count_linear, Conv2d: count_convNd, Dropout: zero_ops, Dropout2d: zero_ops}
    profiled = deepcopy(model).eval()  # thop leaves buffers in what it profiles
    parameters = sum(p.numel() for p in model.parameters())
    device = next(model.parameters()).device
    if device.type == "meta" and parameters <= _SMALL:
        # Not by `to_empty`, which imports a second's worth of symbolic algebra.
        zeros = {name: torch.zeros(held.shape, dtype=held.dtype) for name, held in profiled.state_dict().items()}
        profiled.load_state_dict(zeros, assign=True)
        device = torch.device("cpu")
    example = torch.zeros(1, *shape, device=device)
    macs, _ = thop.profile(profiled, inputs=(example,), custom_ops=counted_as, verbose=False)
    return Cost(2 * int(macs), int(macs), parameters)
