"""What a model says of images, by logits that are known."""

import math

import torch
from torch import nn

from reprotune.data.images import Split
from reprotune.training.predictions import Prediction, predict


class Known(nn.Module):
    """The logits of an image: 0, and the logarithm of its first pixel as it was, 0 … 255."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        odds = (images[:, 0, 0, 0] * 255).round().tolist()
        return torch.tensor([[0.0, math.log(odd)] for odd in odds])


def test_classes_and_confidences() -> None:
    """Of odds of 1 to n: n / (1 + n), to four digits. More images than are taken at once are in their order."""
    images = torch.tensor([3, 1, 199] * 400, dtype=torch.uint8).view(-1, 1, 1, 1)
    found = predict(Known(), Split(images, torch.tensor([1, 0, 0] * 400)))
    assert found[:3] == [Prediction(0, 1, 1, 0.75), Prediction(1, 0, 0, 0.5), Prediction(2, 0, 1, 0.995)]
    assert [tuple(one)[1:] for one in found[3:]] == [tuple(one)[1:] for one in found[:-3]]
    assert [one.image for one in found] == list(range(1200))
