import pytest
import torch
from torch import nn

from reprotune.arithmetic.rmsprop import RMSprop


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_against_torchs(momentum: float, weight_decay: float) -> None:
    """To within rounding, over steps with gradients of very different sizes."""
    torch.manual_seed(0)
    ours, theirs = (
        [nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1))) for shape in ((7, 5), (7,))]
        for _ in range(2)
    )
    optimizers = (
        RMSprop(ours, lr=0.01, weight_decay=weight_decay, momentum=momentum),
        torch.optim.RMSprop(theirs, lr=0.01, weight_decay=weight_decay, momentum=momentum),
    )
    for step in range(20):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape) * 10.0 ** (step % 5 - 2)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_first_step_in_closed_form() -> None:
    """v = 0.01 g², so the step is lr · g / (0.1 |g| + ε): ten times lr, against the gradient's sign."""
    weight = nn.Parameter(torch.zeros(3))
    weight.grad = torch.tensor([4.0, -0.5, 0.0])
    RMSprop([weight], lr=0.01).step()
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.1, 0.1, 0.0]), rtol=1e-5, atol=1e-7)


def test_a_weight_without_a_gradient_stays() -> None:
    moved, still = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(2))
    moved.grad = torch.ones(2)
    RMSprop([moved, still], lr=0.01).step()
    assert still.tolist() == [1.0, 1.0]
    assert moved.tolist() != [0.0, 0.0]
