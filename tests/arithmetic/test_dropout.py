import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from reprotune.arithmetic import dropout
from reprotune.arithmetic.dropout import LEVELS, Dropout, Dropout2d

N = 400_000


@pytest.mark.parametrize("p", [0.0, 0.001, 0.2, 0.5, 0.9])
def test_mean_and_variance(p: float) -> None:
    """Of ones: 1, and p / (1 − p). Within five standard errors; values are 0 or 1 / (1 − p)."""
    layer = Dropout(p)
    layer.seed(0)
    values = layer(torch.ones(N)).double()
    dropped = round(p * LEVELS) / LEVELS
    error = math.sqrt(dropped / (1 - dropped) / N)
    assert abs(values.mean().item() - 1) <= 5 * error + 1e-6
    assert sorted(set(values.tolist())) == pytest.approx([0.0, 1 / (1 - dropped)] if p else [1.0])
    assert abs((values == 0).double().mean().item() - p) <= 5 * math.sqrt(p * (1 - p) / N) + 0.5 / LEVELS


def test_neighbours_do_not_know_each_other() -> None:
    """Values that are cut from one random number of 64 bits, too."""
    layer = Dropout(0.5)
    kept = (layer(torch.ones(N)) > 0).double() - 0.5
    for apart in (1, 2, 3, 4):
        assert abs((kept[:-apart] * kept[apart:]).mean().item()) < 5 * 0.25 / math.sqrt(N)


def test_channels_are_dropped_as_a_whole() -> None:
    layer = Dropout2d(0.3)
    values = layer(torch.ones(200, 50, 4, 3))
    assert torch.equal(values.amin((2, 3)), values.amax((2, 3)))
    assert abs((values[:, :, 0, 0] == 0).double().mean().item() - 0.3) < 5 * math.sqrt(0.21 / 10_000)


@pytest.mark.parametrize("kind", [Dropout, Dropout2d])
def test_gradients_pass_where_values_do(kind: type[Dropout]) -> None:
    x = torch.ones(6, 5, 4, 3).requires_grad_()
    y = kind(0.4)(x)
    torch.autograd.backward(y.sum())
    assert torch.equal(x.grad, y.detach())  # type: ignore[arg-type]


def test_nothing_is_dropped_in_evaluation() -> None:
    x = torch.randn(5, 4)
    assert Dropout(0.5).eval()(x) is x or torch.equal(Dropout(0.5).eval()(x), x)


def test_a_seed_repeats_and_layers_differ() -> None:
    model = nn.Sequential(Dropout(0.5), Dropout(0.5))
    x = torch.ones(1000)

    def masks() -> list[torch.Tensor]:
        dropout.seed(model, 7)
        return [layer(x) for layer in model for _ in range(2)]

    first = masks()
    assert all(torch.equal(a, b) for a, b in zip(first, masks(), strict=True))
    assert len({tuple(mask.tolist()) for mask in first}) == 4
    dropout.seed(model, 8)
    assert not torch.equal(model[0](x), first[0])
    assert not model.state_dict()
    assert torch.equal(deepcopy(model)[1](x), model[1](x))
