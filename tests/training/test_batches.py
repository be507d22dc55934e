import pytest

from reprotune.training.batches import LEAST, batch_sizes


@pytest.mark.parametrize("examples", [1, 2, 15, 16, 17, 31, 100, 257])
def test_every_batch_size(examples: int) -> None:
    """From 1 to beyond the data: all are taken, in batches of the size, but for the last one."""
    for size in range(1, examples + 3):
        *whole, last = batch_sizes(examples, size)
        assert sum(whole) + last == examples
        assert set(whole) <= {size}
        assert last < size + min(LEAST, size)
        assert not whole or last >= min(LEAST, size)  # so never one, where a batch is more


def test_a_few_in_closed_form() -> None:
    assert batch_sizes(3500, 64) == [64] * 54 + [44]
    assert batch_sizes(129, 64) == [64, 65]
    assert batch_sizes(144, 64) == [64, 64, 16]
    assert batch_sizes(7, 64) == [7]
