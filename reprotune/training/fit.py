"""Train one config: pure, so that the same config, seed and data give the same bits anywhere."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprotune.arithmetic import dropout, floating_point
from reprotune.data.images import Inputs, Split
from reprotune.training.augmentation import augmented
from reprotune.training.batches import batch_sizes
from reprotune.training.learning_curve import Epoch
from reprotune.training.models import Config, build
from reprotune.training.optimizers import SCHEDULES, new_optimizer

_VALID_BATCH = 1024  # bounds the memory of a validation pass


class Diverged(ArithmeticError):
    """A loss became NaN or infinite."""


def new_model(config: Config, inputs: Inputs, seed: int) -> nn.Module:
    """A model with seeded initial weights. Raises ValueError where the config cannot be built."""
    torch.manual_seed(seed)
    return build(config, inputs)


def learning_curve(model: nn.Module, config: Config, train: Split, valid: Split, seed: int) -> Iterator[Epoch]:
    """Train, and yield each epoch's point as it is reached: who wants to prune stops iterating."""
    for epoch, train_loss in enumerate(fit(model, config, train, seed), start=1):
        valid_loss, valid_accuracy = score(model, valid)
        if not math.isfinite(train_loss + valid_loss):
            raise Diverged(f"loss became {train_loss + valid_loss} in epoch {epoch}")
        yield Epoch(train_loss, valid_loss, valid_accuracy)


def fit(model: nn.Module, config: Config, train: Split, seed: int) -> Iterator[float]:
    """Train for config["epochs"] epochs; yield the mean training loss of each. Batches are reshuffled every epoch.

    The model is trained where `train` lies. On a GPU, what torch has no repeatable kernel for is a RuntimeError.
    """
    device, examples = train.images.device, len(train.labels)
    if device.type == "cuda":  # on a CPU, all that is used here repeats its bits
        torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    dropout.seed(model, seed)
    optimizer, weights = new_optimizer(model.to(device), config), list(model.parameters())
    sizes = batch_sizes(examples, config["batch_size"])
    schedule = SCHEDULES[config["schedule"]](optimizer, config["epochs"] * len(sizes))
    for _ in range(config["epochs"]):
        model.train()
        losses = []
        with floating_point.settings():
            for batch in torch.split(torch.randperm(examples, device=device), sizes):
                # index_select copies an image at once; indexing with [batch] goes pixel by pixel.
                images, labels = (tensor.index_select(0, batch) for tensor in train)
                logits = model(pixels(augmented(images, config)))
                loss = F.cross_entropy(logits, labels, label_smoothing=config["label_smoothing"])
                for weight in weights:
                    weight.grad = None
                torch.autograd.backward(loss)
                optimizer.step()
                if schedule:
                    schedule.step()
                losses.append(loss.detach())
        yield math.fsum(loss * size for loss, size in zip(torch.stack(losses).tolist(), sizes, strict=True)) / examples


@floating_point.settings()
@torch.inference_mode()
def score(model: nn.Module, split: Split) -> tuple[float, float]:
    """(mean cross entropy in nats, share of examples classified correctly)."""
    model.eval()
    loss, correct, examples = 0.0, 0, len(split.labels)
    sizes = batch_sizes(examples, _VALID_BATCH)
    batches = (torch.split(tensor, sizes) for tensor in split)
    for images, labels in zip(*batches, strict=True):
        logits = model(pixels(images))
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        correct += int((logits.argmax(dim=1) == labels).sum())
    return loss / examples, correct / examples


def pixels(images: Tensor) -> Tensor:
    """uint8 0 … 255 → float32 0 … 1."""
    return images.float().div_(255)
