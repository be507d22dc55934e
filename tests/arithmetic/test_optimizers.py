from functools import partial

import pytest
import torch
from torch import nn

from reprotune.arithmetic import optimizers


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Adam", {"weight_decay": 0.1}),
        ("AdamW", {"weight_decay": 0.1}),
        ("SGD", {"momentum": 0.0}),
        ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    ],
)
def test_the_bits_are_torchs(name: str, settings: dict[str, float]) -> None:
    weights = [nn.Parameter(torch.linspace(-1, 1, 35)) for _ in range(2)]
    made = [
        partial(getattr(module, name), lr=0.1, fused=True, **settings)([weight])
        for module, weight in zip((optimizers, torch.optim), weights, strict=True)
    ]
    for step in range(1, 20):
        for weight, optimizer in zip(weights, made, strict=True):
            weight.grad = (weight.detach() * step).sin()
            optimizer.step()
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], torch.linspace(-1, 1, 35))
    assert all(weight.requires_grad for weight in weights)
