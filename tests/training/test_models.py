"""Costs in closed form, and against torch's own counter; one contract over every model and shape of image."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reprotune.arithmetic.layers import Normalise
from reprotune.data.images import Inputs, Shape
from reprotune.training.cost import measure
from reprotune.training.models import MODELS, build, meta_model

MLP = {"model": "mlp", "layers": 2, "width_1": 20, "dropout_1": 0.1, "width_2": 30, "dropout_2": 0.2}
MLP |= {"normalise": False}
CNN = {"model": "cnn", "blocks": 2, "channels_1": 4, "dropout_1": 0.1, "channels_2": 6, "dropout_2": 0.2}
CNN |= {"normalise": False, "kernel": 3, "pooling": "flatten", "batch_size": 64}
SHAPE = (3, 12, 10)


def inputs(shape: Shape = SHAPE, classes: int = 7) -> Inputs:
    return Inputs(shape, classes, mean=(0.1, 0.2, 0.3)[: shape[0]], std=(0.5, 0.25, 0.125)[: shape[0]])


def test_mlp_in_closed_form() -> None:
    cost = measure(build(MLP, inputs()), SHAPE)
    macs = 360 * 20 + 20 * 30 + 30 * 7
    assert cost.macs == macs
    assert cost.flops == 2 * macs
    assert cost.parameters == macs + 20 + 30 + 7


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("pooling", ["flatten", "average"])
def test_cnn_in_closed_form(kernel: int, pooling: str) -> None:
    cost = measure(build(CNN | {"kernel": kernel, "pooling": pooling}, inputs()), SHAPE)
    convolutions = 12 * 10 * 4 * 3 * kernel**2 + 6 * 5 * 6 * 4 * kernel**2
    # Rounded down when pooled: 12 × 10 → 6 × 5 → 3 × 2.
    normalisations = 4 * (6 * 5 * 4) + 4 * (3 * 2 * 6)  # thop's rule: 4 an element
    # thop's rule for an average: its elements, and 1 to divide.
    average, features = (6 * (3 * 2 + 1), 6) if pooling == "average" else (0, 6 * 3 * 2)
    assert cost.macs == convolutions + normalisations + average + features * 7
    assert cost.flops == 2 * cost.macs
    assert cost.parameters == (4 * 3 + 6 * 4) * kernel**2 + 2 * (4 + 6) + features * 7 + 7


def test_mlp_bn_in_closed_form() -> None:
    plain, normalised = (
        measure(build(MLP | {"model": name, "batch_size": 2}, inputs()), SHAPE) for name in ("mlp", "mlp_bn")
    )
    neurons = 20 + 30
    assert normalised.macs == plain.macs + 4 * neurons
    assert normalised.parameters == plain.parameters + 2 * neurons


def test_resnet_in_closed_form() -> None:
    plain, residual = (measure(build(CNN | {"model": name}, inputs()), SHAPE) for name in ("cnn", "resnet"))
    pixels, weights = 6 * 5, 3**2 * 4 * 4  # the first block's: the last has none
    assert residual.macs == plain.macs + pixels * weights + 4 * pixels * 4
    assert residual.parameters == plain.parameters + weights + 2 * 4


def test_a_residual_of_nothing_is_a_cnn() -> None:
    plain, residual = (build(CNN | {"model": name}, inputs()).eval() for name in ("cnn", "resnet"))
    for name, parameter in residual.named_parameters():
        if name.endswith(".parts.0.weight"):
            nn.init.zeros_(parameter)
    shared = [parameter for name, parameter in residual.named_parameters() if ".parts." not in name]
    for parameter, same in zip(plain.parameters(), shared, strict=True):
        parameter.data.copy_(same)
    images = torch.rand(3, *SHAPE)
    assert torch.equal(plain(images), residual(images))


def test_a_known_network() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    assert measure(model, (1, 28, 28)) == (203264, 101632, 101770)


@pytest.mark.parametrize(("config", "other"), [(MLP, 0), (CNN, 4 * (6 * 5 * 4) + 4 * (3 * 2 * 6))])
@pytest.mark.parametrize("normalise", [False, True])
def test_flops_against_torchs_counter(config: Mapping[str, Any], other: int, normalise: bool) -> None:
    """torch counts convolutions and linear layers only: `other` are the macs of the rest."""
    model = build({**config, "normalise": normalise}, inputs()).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, *SHAPE))
    assert counter.get_total_flops() == measure(model, SHAPE).flops - 2 * other


def test_measuring_leaves_the_model_alone() -> None:
    model = build(CNN, inputs())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure(model, SHAPE)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (3, 9, 5)])
@pytest.mark.parametrize("pooling", ["flatten", "average"])
@pytest.mark.parametrize("normalise", [False, True])
def test_every_model_maps_images_to_logits(name: str, shape: Shape, pooling: str, normalise: bool) -> None:
    config = {"model": name, MODELS[name].layers: 2, "normalise": normalise, "kernel": 5, "pooling": pooling}
    config |= {f"{part}_{layer}": 5 for part in ("width", "channels") for layer in (1, 2)}
    config |= {"dropout_1": 0.0, "dropout_2": 0.5, "batch_size": 4}
    model, known = build(config, inputs(shape, 10)), inputs(shape, 10)
    logits = model(torch.rand(4, *shape))
    assert logits.shape == (4, 10)
    torch.autograd.backward(logits.sum())
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert measure(model, shape) == measure(meta_model(config, known), shape)
    # The weights that are kept are all that another program needs, with no word of the dataset.
    again = build(config, known._replace(mean=(0.0,) * shape[0], std=(1.0,) * shape[0]))
    again.load_state_dict(model.state_dict())
    images = torch.rand(4, *shape)
    assert torch.equal(model.eval()(images), again.eval()(images))


def test_normalised_pixels_have_mean_0_and_standard_deviation_1() -> None:
    brightest = torch.tensor([0.2, 0.5, 1.0]).view(3, 1, 1)
    images = torch.rand(50, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * brightest
    mean, std = (statistic(images, dim=(0, 2, 3)).tolist() for statistic in (torch.mean, torch.std))
    normalised = Normalise(tuple(mean), tuple(std))(images)
    torch.testing.assert_close(normalised.mean(dim=(0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(normalised.std(dim=(0, 2, 3)), torch.ones(3), rtol=0, atol=1e-5)
    assert Normalise((0.5,), (0.25,))(torch.ones(1, 1, 1, 1)).item() == 2.0
    assert Normalise((1.0,), (0.0,))(torch.ones(1, 1, 1, 1)).item() == 0.0  # a channel that is white everywhere


def test_a_cnn_deeper_than_the_image_allows() -> None:
    config = CNN | {"blocks": 4} | {f"channels_{i}": 2 for i in range(1, 5)}
    with pytest.raises(ValueError, match="blocks = 4: too many for images of 12 × 10 pixels"):
        build(config | {f"dropout_{i}": 0.0 for i in range(1, 5)}, inputs())


def test_a_batch_norm_of_one_value_is_refused() -> None:
    """A batch of one image that is one pixel: BatchNorm would end the training."""
    for size, allowed in ((1, False), (2, True)):
        with (
            nullcontext() if allowed else pytest.raises(ValueError, match="batch_size = 1: BatchNorm needs two values")
        ):
            build(CNN | {"batch_size": size}, inputs((1, 4, 5)))
    with pytest.raises(ValueError, match="batch_size = 1: BatchNorm needs two values"):
        build(MLP | {"model": "mlp_bn", "batch_size": 1}, inputs())
    build(CNN | {"batch_size": 1}, inputs((1, 8, 8)))


def test_a_meta_model_costs_no_memory() -> None:
    model = meta_model(MLP | {"width_1": 10**9}, inputs())
    assert all(parameter.is_meta for parameter in model.parameters())
    assert measure(model, SHAPE).macs == 360 * 10**9 + 10**9 * 30 + 30 * 7


@pytest.mark.parametrize("width", [2**60, 2**63, 10**30])
@pytest.mark.parametrize("config", [MLP, CNN], ids=["mlp", "cnn"])
def test_a_size_that_no_tensor_has(config: Mapping[str, Any], width: int) -> None:
    with pytest.raises(ValueError, match=r"^too large to be built: .*$") as error:
        meta_model({**config, "width_1": width, "channels_1": width}, inputs())
    assert "\n" not in str(error.value)
