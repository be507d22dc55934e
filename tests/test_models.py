"""Costs in closed form, and against torch's own counter."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reprotune.cost import measure
from reprotune.models import MODELS, build

MLP = {"model": "mlp", "layers": 2, "width_1": 20, "dropout_1": 0.1, "width_2": 30, "dropout_2": 0.2}
CNN = {"model": "cnn", "blocks": 2, "channels_1": 4, "dropout_1": 0.1, "channels_2": 6, "dropout_2": 0.2}
SHAPE = (3, 12, 10)


def test_mlp_in_closed_form() -> None:
    cost = measure(build(MLP, SHAPE, 7), SHAPE)
    macs = 360 * 20 + 20 * 30 + 30 * 7
    assert cost.macs == macs
    assert cost.flops == 2 * macs
    assert cost.parameters == macs + 20 + 30 + 7


def test_cnn_in_closed_form() -> None:
    cost = measure(build(CNN, SHAPE, 7), SHAPE)
    convolutions = 12 * 10 * 4 * 3 * 9 + 6 * 5 * 6 * 4 * 9
    normalisations = 4 * (12 * 10 * 4) + 4 * (6 * 5 * 6)  # thop's rule: 4 an element
    linear = 6 * 3 * 2 * 7  # rounded down when pooled: 12 × 10 → 6 × 5 → 3 × 2
    assert cost.macs == convolutions + normalisations + linear
    assert cost.flops == 2 * cost.macs
    assert cost.parameters == (4 * 3 * 9 + 6 * 4 * 9) + 2 * (4 + 6) + linear + 7


def test_a_known_network() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    assert measure(model, (1, 28, 28)) == (203264, 101632, 101770)


@pytest.mark.parametrize(("config", "other"), [(MLP, 0), (CNN, 4 * (12 * 10 * 4) + 4 * (6 * 5 * 6))])
def test_flops_against_torchs_counter(config: Mapping[str, Any], other: int) -> None:
    """torch counts convolutions and linear layers only: `other` are the macs of the rest."""
    model = build(config, SHAPE, 7).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *SHAPE))
    assert counter.get_total_flops() == measure(model, SHAPE).flops - 2 * other


def test_measuring_leaves_the_model_alone() -> None:
    model = build(CNN, SHAPE, 7)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure(model, SHAPE)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training


@pytest.mark.parametrize("name", MODELS)
def test_every_model_maps_images_to_logits(name: str) -> None:
    config = {"model": name, MODELS[name].layers: 1, "width_1": 5, "channels_1": 5, "dropout_1": 0.0}
    for shape in ((1, 28, 28), (3, 32, 32)):
        assert build(config, shape, 10)(torch.zeros(2, *shape)).shape == (2, 10)


def test_a_cnn_deeper_than_the_image_allows() -> None:
    config = {"model": "cnn", "blocks": 4} | {f"channels_{i}": 2 for i in range(1, 5)}
    with pytest.raises(ValueError, match="blocks = 4: too many for images of 12 × 10 pixels"):
        build(config | {f"dropout_{i}": 0.0 for i in range(1, 5)}, SHAPE, 7)
