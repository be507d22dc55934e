"""A learning curve is a sequence of these points, one an epoch."""

from typing import NamedTuple


class Epoch(NamedTuple):
    """Mean cross entropy (nats) while training and on valid; share of valid classified correctly, by data.metric.

    The training loss is the one that is minimised: of smoothed labels and augmented images, if they are.
    """

    train_loss: float
    valid_loss: float
    valid_accuracy: float
