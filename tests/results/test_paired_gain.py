"""The lead of one config over another, seed by seed."""

import pytest

from reprotune.results.gain import gain, student


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.7062), (2, 4.3027), (4, 2.7764), (9, 2.2622), (100, 1.9840)])
def test_students_quantile(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, abs=1e-4)


def test_the_lead_is_paired() -> None:
    """The configs' own spread over seeds, which is the same luck for both, is not in it."""
    found = gain([0.91, 0.72, 0.83], [0.90, 0.70, 0.80])
    assert found.mean == pytest.approx(0.02)
    assert found.half == pytest.approx(4.3027 * 0.01 / 3**0.5, abs=1e-5)
    assert gain([0.9], [0.8]).half is None
    assert gain([0.9, 0.8], [0.9, 0.8]) == (0, 0)
