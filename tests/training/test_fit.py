import math
from collections.abc import Mapping
from itertools import islice
from typing import Any, get_args

import pytest
import torch
from conftest import make_params
from torch import Tensor, nn
from torch.nn import functional as F

from reprotune.arithmetic import optimizers
from reprotune.arithmetic.layers import Normalise
from reprotune.data.images import Split
from reprotune.data.stored import StoredDataset
from reprotune.params import Metric
from reprotune.training.fit import Diverged, Training, fit, learning_curve, new_model, pixels, score
from reprotune.training.optimizers import OPTIMIZERS, SCHEDULES, new_optimizer

NEUTRAL: Mapping[str, Any] = make_params().training.hyperparameters
CONFIG = {**NEUTRAL, "model": "mlp", "layers": 1, "width_1": 8, "dropout_1": 0.2, "batch_size": 32, "epochs": 3}
CNN = {**NEUTRAL, "model": "cnn", "blocks": 2, "kernel": 3, "pooling": "average", "batch_size": 32, "epochs": 2}
CNN |= {"channels_1": 3, "dropout_1": 0.1, "channels_2": 4, "dropout_2": 0.1}
SEARCHED = [{"shift": 2}, {"flip": True}, {"cutout": 3}, {"normalise": True}, {"label_smoothing": 0.1}]
SEARCHED += [{"weight_decay": 0.1}, {"schedule": "cosine"}, {"schedule": "one_cycle"}, {"momentum": 0.9}]


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


def test_balanced_accuracy_in_closed_form() -> None:
    """The same model: of the five classes it knows one, however many images that has; a class without any is none."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 6))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    images = torch.zeros(8, 1, 2, 2, dtype=torch.uint8)
    loss, accuracy = score(model, Split(images, torch.tensor([0, 0, 0, 1, 2, 3, 4, 4])), "balanced_accuracy")
    assert loss == pytest.approx(math.log(6), rel=1e-6)
    assert accuracy == pytest.approx(1 / 5)


def test_with_classes_of_equal_size_both_metrics_agree(dataset: StoredDataset) -> None:
    model, valid = new_model(CONFIG, dataset.inputs, 0), dataset.load("valid")
    assert len(set(dataset.class_sizes("valid"))) == 1
    plain, balanced = (score(model, valid, metric) for metric in get_args(Metric))
    assert plain == pytest.approx(balanced, abs=1e-15)
    assert 0 < plain[1] < 1


def one_pixel() -> tuple[nn.Module, Tensor, Split]:
    """A linear model without bias, its weights (2, 1), of zeros, and one white pixel of class 1."""
    linear = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(linear.weight)
    train = Split(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8), torch.tensor([1]))
    return nn.Sequential(nn.Flatten(), linear), linear.weight, train


def test_one_sgd_step_in_closed_form() -> None:
    """One batch of one example through a linear model: w ← w − lr · (softmax − onehot) · x."""
    model, weight, train = one_pixel()
    config = {**NEUTRAL, "optimizer": "SGD", "lr": 0.5, "batch_size": 1, "epochs": 1}
    assert list(fit(model, config, train, seed=0)) == [pytest.approx(math.log(2))]
    assert weight.flatten().tolist() == [-0.25, 0.25]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_in_closed_form(smoothing: float) -> None:
    """The target of class c is (1 − s) · onehot + s / classes; it is trained for, and valid is scored without."""
    model, weight, train = one_pixel()
    nn.init.constant_(weight[1:], 2.0)
    logits = torch.tensor([0.0, 2.0])
    target = torch.tensor([smoothing / 2, 1 - smoothing / 2])
    before, _ = score(model, train)
    config = {**NEUTRAL, "optimizer": "SGD", "lr": 0.5, "batch_size": 1, "epochs": 1, "label_smoothing": smoothing}
    expected = F.cross_entropy(logits[None], torch.tensor([1]), label_smoothing=smoothing).item()
    assert expected == pytest.approx(-(target * logits.log_softmax(dim=0)).sum().item())
    assert list(fit(model, config, train, seed=0)) == [pytest.approx(expected)]
    torch.testing.assert_close(weight.flatten().detach(), logits - 0.5 * (logits.softmax(dim=0) - target))
    assert before == pytest.approx(math.log(1 + math.exp(-2)))


def rates(schedule: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of each step of a training of 3 epochs."""
    used: list[float] = []
    step = optimizers.SGD.step

    def noting(self: optimizers.SGD, *args: Any) -> Any:
        used.append(self.param_groups[0]["lr"])
        return step(self, *args)

    monkeypatch.setattr(optimizers.SGD, "step", noting)
    model, _, train = one_pixel()
    many = Split(*(tensor.repeat(32 * steps // 3 - 16, *[1] * (tensor.dim() - 1)) for tensor in train))
    config = {**NEUTRAL, "optimizer": "SGD", "lr": 0.4, "batch_size": 32, "epochs": 3, "schedule": schedule}
    assert len(list(fit(model, config, many, seed=0))) == 3
    return used


def one_cycle(step: int, steps: int) -> float:
    """Smith's policy, as torch has it: half cosines from 1/25 to 1, at 30 % of the steps, and on to 1/250,000."""
    top, last = 0.3 * steps - 1, steps - 1
    low, high, share = (1 / 25, 1, step / top) if step <= top else (1, 1 / 250_000, (step - top) / (last - top))
    return high + (low - high) * (1 + math.cos(math.pi * share)) / 2


FACTORS = {
    "constant": lambda step, steps: 1.0,
    "cosine": lambda step, steps: (1 + math.cos(math.pi * step / steps)) / 2,
    "one_cycle": one_cycle,
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_in_closed_form(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stepped after every batch, the last and smaller one of an epoch too."""
    expected = [0.4 * FACTORS[schedule](step, 60) for step in range(60)]
    assert rates(schedule, 60, monkeypatch) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_of_the_fewest_steps(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(0 < rate <= 0.4 for rate in rates(schedule, 3, monkeypatch))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_gets_its_hyperparameters(name: str) -> None:
    config = {**NEUTRAL, "optimizer": name, "lr": 0.03, "weight_decay": 0.02, "momentum": 0.7}
    (group,) = new_optimizer(nn.Linear(2, 2), config).param_groups
    assert (group["lr"], group["weight_decay"]) == (0.03, 0.02)
    assert group.get("momentum") == (0.7 if name in ("RMSprop", "SGD") else None)


def test_momentum_and_weight_decay_in_closed_form() -> None:
    """SGD's velocity: v ← m · v + g + d · w, w ← w − lr · v."""
    model, weight, train = one_pixel()
    config = {**NEUTRAL, "optimizer": "SGD", "lr": 0.5, "batch_size": 1, "epochs": 2, "momentum": 0.8}
    list(fit(model, config | {"weight_decay": 0.1}, train, seed=0))
    w = v = torch.zeros(2)
    for _ in range(2):
        v = 0.8 * v + w.softmax(dim=0) - torch.tensor([0.0, 1.0]) + 0.1 * w
        w = w - 0.5 * v
    torch.testing.assert_close(weight.flatten().detach(), w)


def test_pixels() -> None:
    images = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    assert pixels(images).flatten().tolist() == pytest.approx([0.0, 0.2, 1.0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_seed_gives_the_same_bits_and_learns(dataset: StoredDataset, optimizer: str) -> None:
    train, valid = dataset.load("train"), dataset.load("valid")
    config = CONFIG | {"optimizer": optimizer, "lr": 0.1 if optimizer == "SGD" else 0.01, "epochs": 8}

    def curve(seed: int) -> list[tuple[float, ...]]:
        model = new_model(config, dataset.inputs, seed)
        return list(learning_curve(model, config, train, valid, seed))

    first = curve(1)
    assert curve(1) == first
    assert curve(2) != first
    assert len(first) == 8
    assert first[-1][0] < first[0][0]
    assert first[-1][2] > 0.5


@pytest.mark.parametrize("config", [CONFIG, CNN], ids=["mlp", "cnn"])
@pytest.mark.parametrize("changed", SEARCHED, ids=lambda changed: next(iter(changed)))
def test_whatever_is_searched_decides_the_bits_and_repeats_them(
    dataset: StoredDataset, config: Mapping[str, Any], changed: Mapping[str, Any]
) -> None:
    train, valid = dataset.load("train"), dataset.load("valid")

    def curve(config: Mapping[str, Any]) -> list[tuple[float, ...]]:
        return list(learning_curve(new_model(config, dataset.inputs, 3), config, train, valid, 3))

    neutral = {**config, "optimizer": "SGD", "lr": 0.05}
    first = curve({**neutral, **changed})
    assert curve({**neutral, **changed}) == first
    assert curve(neutral) != first


def test_the_stored_statistics_normalise_the_training_images(dataset: StoredDataset) -> None:
    images = pixels(dataset.load("train").images)
    normalised = Normalise(dataset.mean, dataset.std)(images)
    assert normalised.mean().item() == pytest.approx(0, abs=1e-4)
    assert normalised.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_data_are_moved_to_a_device_once(dataset: StoredDataset) -> None:
    moved = dataset.load("train", "meta")
    assert all(tensor.is_meta for tensor in moved)
    assert dataset.load("train", "meta") is moved
    assert not any(tensor.is_meta for tensor in dataset.load("train"))


def test_initial_weights_are_those_of_the_seed_whatever_is_before_the_model(dataset: StoredDataset) -> None:
    plain, normalising = (new_model(CONFIG | {"normalise": on}, dataset.inputs, 5) for on in (False, True))
    pairs = zip(plain.parameters(), normalising.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("config", [CONFIG, CNN], ids=["mlp", "cnn"])
@pytest.mark.parametrize("changed", [{}, *SEARCHED], ids=lambda changed: next(iter(changed), "neutral"))
def test_a_gpu_repeats_its_bits(dataset: StoredDataset, config: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    train, valid = dataset.load("train", "cuda"), dataset.load("valid", "cuda")
    config = {**config, "optimizer": "SGD", "lr": 0.05, **changed}
    curves = [list(learning_curve(new_model(config, dataset.inputs, 3), config, train, valid, 3)) for _ in range(2)]
    assert curves[0] == curves[1]


def test_a_net_that_ends_in_one_pixel_has_no_batch_of_one(dataset: StoredDataset) -> None:
    """One example more than whole batches: alone, BatchNorm would refuse it."""
    config = {**CNN, "blocks": 3, "channels_3": 4, "dropout_3": 0.1, "optimizer": "Adam", "lr": 0.01, "epochs": 1}
    train, valid = (Split(*(tensor[:65] for tensor in dataset.load(split))) for split in ("train", "valid"))
    (point,) = learning_curve(new_model(config, dataset.inputs, 0), config, train, valid, 0)
    assert math.isfinite(point.train_loss)


def test_divergence_is_an_error(dataset: StoredDataset) -> None:
    config = CONFIG | {"optimizer": "SGD", "lr": 1e30}
    model = new_model(config, dataset.inputs, 0)
    with pytest.raises(Diverged, match="in epoch 1"):
        list(learning_curve(model, config, dataset.load("train"), dataset.load("valid"), 0))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_training_that_was_stopped_goes_on_with_the_same_bits(
    optimizer: str, schedule: str, dataset: StoredDataset
) -> None:
    """From a checkpoint, in another model, after other random numbers: with dropout, BatchNorm and augmentation too."""
    own = dict.fromkeys(OPTIMIZERS[optimizer].own, 0.5)
    config = CONFIG | {"optimizer": optimizer, "schedule": schedule, **own, "epochs": 4, "shift": 1, "cutout": 2}
    train, valid = dataset.load("train"), dataset.load("valid")
    for chosen in (config, config | CNN):
        whole = list(learning_curve(new_model(chosen, dataset.inputs, 3), chosen, train, valid, 3))
        stopped = Training(new_model(chosen, dataset.inputs, 3), chosen, train, 3)
        begun = list(islice(stopped.curve(valid), 2))
        checkpoint = stopped.checkpoint()
        assert checkpoint
        other = Training(new_model(chosen, dataset.inputs, 7), chosen, train, 7)
        next(other.curve(valid))
        other.resume(checkpoint)
        assert begun + list(other.curve(valid)) == whole
