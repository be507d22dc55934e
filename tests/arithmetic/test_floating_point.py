import numpy as np
import torch

from reprotune.arithmetic.floating_point import settings

TINY = float(np.float32(1e-38))


def shrunk() -> tuple[float, float]:
    """A tenth of the smallest usual number, by torch and by NumPy."""
    by_torch, by_numpy = torch.full((64,), TINY) * 0.1, np.full(64, TINY, dtype=np.float32) * np.float32(0.1)
    return by_torch.view(torch.int32)[0].item(), by_numpy.view(np.int32)[0].item()


def test_they_are_zero_within_and_come_back_after() -> None:
    before = shrunk()
    assert 0 not in before
    with settings():
        assert shrunk() == (0, 0)
        assert np.isinf(np.float32(1e38) * np.float32(10))  # without a warning
    assert shrunk() == before
