"""What the search gained on test: the best config's lead over the default, seed by seed."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple


class Gain(NamedTuple):
    """Differences of accuracy, best − default."""

    mean: float
    half: float | None  # of its 95 % interval over seeds; None of one seed


def gain(best: Sequence[float], default: Sequence[float]) -> Gain:
    """Paired: the same seeds, in the same order."""
    leads = [one - other for one, other in zip(best, default, strict=True)]
    if len(leads) == 1:
        return Gain(leads[0], None)
    return Gain(fmean(leads), student(len(leads) - 1) * stdev(leads) / math.sqrt(len(leads)))


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, by bisection."""
    low, high = 1.9, 13.0  # of infinitely many degrees 1.96, of one 12.71
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 0.95 else (low, middle)
    return low


def _within(t: float, freedom: int) -> float:
    """P(|T| < t) (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    odd, cos = freedom % 2, math.cos(angle)
    terms, term = list[float](), cos if odd else 1.0
    for step in range(1 + odd, freedom, 2):
        terms.append(term)
        term *= cos**2 * step / (step + 1)
    series = math.sin(angle) * math.fsum(terms)
    return 2 / math.pi * (angle + series) if odd else series
