"""What a model says of images: the class that it takes each for, and how sure it is."""

import math
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reprotune.data.images import Split
from reprotune.errors import UserError
from reprotune.training.batches import batch_sizes

if TYPE_CHECKING:
    from torch import nn

_BATCH = 1024  # bounds the memory


class Prediction(NamedTuple):
    """Of one image, by its number in the split; classes by theirs."""

    image: int
    label: int
    predicted: int
    confidence: float  # the predicted class's probability, to four digits; 0 where a diverged model has none


def predict(model: "nn.Module", split: Split) -> list[Prediction]:
    """A prediction an image. The model and the split are on one device."""
    import torch

    from reprotune.arithmetic import floating_point
    from reprotune.training.fit import pixels

    model.eval()
    sizes = batch_sizes(len(split.labels), _BATCH)
    with floating_point.settings(), torch.inference_mode():
        logits = torch.cat([model(pixels(images)) for images in torch.split(split.images, sizes)])
        rows = zip(split.labels.tolist(), logits.argmax(dim=1).tolist(), _highest(logits.cpu().numpy()), strict=True)
    return [Prediction(image, *row) for image, row in enumerate(rows)]


def _highest(logits: np.ndarray) -> list[float]:
    """(N, classes) → (N,) the highest of each row's softmax. In float64 and rounded: torch's differs by the maker."""
    exact = logits.astype(np.float64)
    exact[~np.isfinite(exact).all(axis=1)] = np.nan
    confidences = np.nan_to_num(1 / np.exp(exact - exact.max(axis=1, keepdims=True)).sum(axis=1))
    return [round(confidence, 4) for confidence in confidences.tolist()]


def likeliest(classes: Mapping[str, float], most: int) -> dict[str, float]:
    """The first so many of what a picture is taken for. Raises UserError if the model has no probabilities: one that
    diverged on train + valid, which `evaluate` keeps, and says so.
    """
    if any(map(math.isnan, classes.values())):
        raise UserError("results/model: has no answer, as its training diverged; search lower values of lr")
    return dict(islice(classes.items(), most))
