"""The layers that stand in for torch's give what torch's give, to within rounding."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from reprotune.arithmetic.layers import Conv2d, Linear, product


def gradients(layer: nn.Module, x: Tensor, seed: int = 1) -> list[Tensor]:
    """The output, and the gradients of the input and of the weights for a random gradient of the output."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer(x)
    torch.manual_seed(seed)
    torch.autograd.backward(y, torch.randn(y.shape))
    return [y.detach(), *(tensor.grad for tensor in (x, *layer.parameters()) if tensor.grad is not None)]


def same(ours: nn.Module, torchs: nn.Module, x: Tensor) -> None:
    torchs.load_state_dict(ours.state_dict())
    for one, other in zip(gradients(ours, x), gradients(torchs, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("examples", "features", "units"), [(1, 1, 1), (1, 5, 3), (17, 784, 66), (64, 66, 10)])
def test_linear_against_torchs(examples: int, features: int, units: int, bias: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(examples, features)
    same(Linear(features, units, bias=bias), nn.Linear(features, units, bias=bias), x)
    across = torch.randn(features, examples).T  # not contiguous
    same(Linear(features, units, bias=bias), nn.Linear(features, units, bias=bias), across)


def test_product_in_closed_form() -> None:
    x, weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    assert product(x, weight, torch.tensor([0.5, 0.0, -1.0])).tolist() == [[11.5, 17.0, 22.0]]


def test_gradients_against_differences() -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*shape, dtype=torch.float64).requires_grad_() for shape in ((4, 3), (5, 3), (5,)))
    assert torch.autograd.gradcheck(product, (x, weight, bias))


def test_a_second_derivative_is_refused() -> None:
    x, weight = torch.randn(4, 3).requires_grad_(), torch.randn(5, 3).requires_grad_()
    with pytest.raises(RuntimeError, match="numpy"):
        torch.autograd.grad(product(x, weight).square().sum(), weight, create_graph=True)


@pytest.mark.parametrize("images", [1, 2, 15, 16])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_conv2d_against_torchs(images: int, kernel: int, bias: bool, layout: torch.memory_format) -> None:
    torch.manual_seed(0)

    def made(kind: Callable[..., nn.Module]) -> nn.Module:
        return kind(3, 4, kernel, padding=kernel // 2, bias=bias).to(memory_format=layout)

    same(made(Conv2d), made(nn.Conv2d), torch.randn(images, 3, 7, 6).to(memory_format=layout))


def test_a_batch_of_one_is_the_first_of_two() -> None:
    torch.manual_seed(0)
    layer, x = Conv2d(3, 4, 3, padding=1), torch.randn(1, 3, 7, 6)
    assert torch.equal(layer(x), layer(torch.cat([x, torch.randn(1, 3, 7, 6)]))[:1])


def test_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = nn.Sequential(Conv2d(1, 2, 1), nn.Flatten(), Linear(2 * 9, 5))
        assert model(torch.zeros(1, 1, 3, 3)).shape == (1, 5)
