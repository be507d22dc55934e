"""Train one config: pure, so that the same config, seed and data give the same bits anywhere."""

import io
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reprotune.arithmetic import dropout, floating_point
from reprotune.data.images import Inputs, Split
from reprotune.data.metric import share_right
from reprotune.params import Metric
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
    torch.default_generator.manual_seed(seed)
    return build(config, inputs)


class Training:
    """A training of config["epochs"] epochs. Batches are reshuffled every epoch.

    The model is trained where `train` lies. On a GPU, what torch has no repeatable kernel for is a RuntimeError.
    """

    def __init__(self, model: nn.Module, config: Config, train: Split, seed: int) -> None:
        self._device, self._examples = train.images.device, len(train.labels)
        if self._device.type == "cuda":  # on a CPU, all that is used here repeats its bits
            torch.use_deterministic_algorithms(True)
            torch.manual_seed(seed)
        else:  # which `torch.manual_seed` does too, and keeps a stack trace for each kind of GPU
            torch.default_generator.manual_seed(seed)
        dropout.seed(model, seed)
        self._config, self._train, self._done = config, train, 0
        self._model = model.to(self._device)
        self._optimizer, self._weights = new_optimizer(model, config), list(model.parameters())
        self._sizes = batch_sizes(self._examples, config["batch_size"])
        self._schedule = SCHEDULES[config["schedule"]](self._optimizer, config["epochs"] * len(self._sizes))

    def epochs(self) -> Iterator[float]:
        """Train the epochs that are left; yield the mean training loss of each."""
        while self._done < self._config["epochs"]:
            self._model.train()
            with floating_point.settings():
                batches = torch.split(torch.randperm(self._examples, device=self._device), self._sizes)
                losses = torch.stack([self._step(batch) for batch in batches]).tolist()
            self._done += 1
            yield math.fsum(loss * size for loss, size in zip(losses, self._sizes, strict=True)) / self._examples

    def _step(self, batch: Tensor) -> Tensor:
        # index_select copies an image at once; indexing with [batch] goes pixel by pixel.
        images, labels = (tensor.index_select(0, batch) for tensor in self._train)
        logits = self._model(pixels(augmented(images, self._config)))
        loss = F.cross_entropy(logits, labels, label_smoothing=self._config["label_smoothing"])
        for weight in self._weights:
            weight.grad = None
        torch.autograd.backward(loss)
        self._optimizer.step()
        if self._schedule:
            self._schedule.step()
        return loss.detach()

    def curve(self, valid: Split, metric: Metric = "accuracy") -> Iterator[Epoch]:
        """Train the epochs that are left, and yield each one's point as it is reached: who prunes stops iterating."""
        for train_loss in self.epochs():
            valid_loss, valid_accuracy = score(self._model, valid, metric)
            if not math.isfinite(train_loss + valid_loss):
                raise Diverged(f"loss became {train_loss + valid_loss} in epoch {self._done}")
            yield Epoch(train_loss, valid_loss, valid_accuracy)

    def checkpoint(self) -> bytes | None:
        """All that the next epochs depend on, beside config and data; None on a GPU, whose random numbers it lacks."""
        if self._device.type != "cpu":
            return None
        schedule = self._schedule and self._schedule.state_dict()
        random = torch.get_rng_state(), dropout.states(self._model)
        content = io.BytesIO()
        torch.save((self._done, self._model.state_dict(), self._optimizer.state_dict(), schedule, random), content)
        return content.getvalue()

    def resume(self, checkpoint: bytes) -> None:
        """Go on as the training would have that this is from, bit by bit."""
        content = torch.load(io.BytesIO(checkpoint), weights_only=True)
        self._done, model, optimizer, schedule, (random, masks) = content
        self._model.load_state_dict(model)
        if self._schedule:
            self._schedule.load_state_dict(schedule)
        self._optimizer.load_state_dict(optimizer)
        dropout.restore(self._model, masks)
        torch.set_rng_state(random)


def learning_curve(model: nn.Module, config: Config, train: Split, valid: Split, seed: int) -> Iterator[Epoch]:
    return Training(model, config, train, seed).curve(valid)


def fit(model: nn.Module, config: Config, train: Split, seed: int) -> Iterator[float]:
    return Training(model, config, train, seed).epochs()


@floating_point.settings()
@torch.inference_mode()
def score(model: nn.Module, split: Split, metric: Metric = "accuracy") -> tuple[float, float]:
    """(mean cross entropy in nats, share of examples classified correctly, as the metric has it)."""
    model.eval()
    loss, right, examples = 0.0, list[Tensor](), len(split.labels)
    sizes = batch_sizes(examples, _VALID_BATCH)
    batches = (torch.split(tensor, sizes) for tensor in split)
    for images, labels in zip(*batches, strict=True):
        logits = model(pixels(images))
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        right.append(labels[logits.argmax(dim=1) == labels])
    found, images = (torch.bincount(classes, minlength=logits.shape[1]) for classes in (torch.cat(right), split.labels))
    return loss / examples, share_right(found.tolist(), images.tolist(), metric)


def pixels(images: Tensor) -> Tensor:
    """uint8 0 … 255 → float32 0 … 1."""
    return images.float().div_(255)
