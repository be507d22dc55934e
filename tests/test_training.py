import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reprotune.datasets import Split, StoredDataset
from reprotune.training import OPTIMIZERS, Diverged, fit, learning_curve, new_model, pixels, score

CONFIG = {"model": "mlp", "layers": 1, "width_1": 8, "dropout_1": 0.2, "batch_size": 32, "epochs": 3}


def test_cross_entropy_is_log_softmax_and_nll() -> None:
    """nn.CrossEntropyLoss combines LogSoftmax and NLLLoss: the same losses and the same gradients."""
    logits = torch.randn(50, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(50) % 10
    together, apart = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    one = nn.CrossEntropyLoss()(together, labels)
    two = F.nll_loss(nn.LogSoftmax(dim=1)(apart), labels)
    assert torch.equal(one, two)
    gradients = torch.autograd.grad(one, together) + torch.autograd.grad(two, apart)
    torch.testing.assert_close(*gradients, rtol=1e-14, atol=1e-16)


def test_score_in_closed_form() -> None:
    """A model that gives every class the same logit has loss log(classes), and is right about class 0."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 5))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    labels = torch.tensor([0, 0, 0, 1, 2, 3, 4, 4])
    loss, accuracy = score(model, Split(torch.zeros(8, 1, 2, 2, dtype=torch.uint8), labels))
    assert loss == pytest.approx(math.log(5), rel=1e-6)
    assert accuracy == 3 / 8


def test_one_sgd_step_in_closed_form() -> None:
    """One batch of one example through a linear model: w ← w − lr · (softmax − onehot) · x."""
    linear = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(linear.weight)
    model = nn.Sequential(nn.Flatten(), linear)
    train = Split(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8), torch.tensor([1]))
    config = {"optimizer": "SGD", "lr": 0.5, "batch_size": 1, "epochs": 1}
    assert list(fit(model, config, train, seed=0)) == [pytest.approx(math.log(2))]
    assert linear.weight.flatten().tolist() == [-0.25, 0.25]


def test_pixels() -> None:
    images = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    assert pixels(images).flatten().tolist() == pytest.approx([0.0, 0.2, 1.0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_seed_gives_the_same_bits_and_learns(dataset: StoredDataset, optimizer: str) -> None:
    train, valid = dataset.load("train"), dataset.load("valid")
    config = CONFIG | {"optimizer": optimizer, "lr": 0.1 if optimizer == "SGD" else 0.01, "epochs": 8}

    def curve(seed: int) -> list[tuple[float, ...]]:
        model = new_model(config, dataset.shape, 4, seed)
        return list(learning_curve(model, config, train, valid, seed))

    first = curve(1)
    assert curve(1) == first
    assert curve(2) != first
    assert len(first) == 8
    assert first[-1][0] < first[0][0]
    assert first[-1][2] > 0.5


def test_divergence_is_an_error(dataset: StoredDataset) -> None:
    config = CONFIG | {"optimizer": "SGD", "lr": 1e30}
    model = new_model(config, dataset.shape, 4, 0)
    with pytest.raises(Diverged, match="in epoch 1"):
        list(learning_curve(model, config, dataset.load("train"), dataset.load("valid"), 0))
