"""How sure it is that the winner is the best of the finalists.

Model: training j of finalist i has the accuracy μᵢ + λⱼ + ε, with ε normal of one variance σ² for all. λ₁ is the luck
of the first training, by which they were chosen. The true means μᵢ are normal with variance τ². What is not known is
integrated over, so that few trainings give no false certainty: σ² by its posterior under the prior 1/σ², and
the share B = τ² / (τ² + σ²/n) of what is true in the spread of the means by a uniform prior (Daniels 1999, "A prior
for the variance in hierarchical models"). Given both, μᵢ is normal around the mean of finalist i drawn towards that
of all, and the probability that one is the highest is an integral over one dimension.

"True" is the mean over all seeds, on these validation images: that they are few is not in it.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

_SHARES = [(step + 0.5) / 8 for step in range(8)]  # of B, 0 … 1
_STEPS = [-4.5 + 0.75 * step for step in range(13)]  # standard deviations of what is integrated over
_NORMAL = NormalDist()


def standard_error(trainings: Sequence[Sequence[float]]) -> float | None:
    """Of a finalist's mean. trainings: (finalists, n) accuracies; None if n is 1, or there is one finalist."""
    if len(trainings) < 2 or (n := len(trainings[0])) < 2:
        return None
    return math.sqrt(_within(trainings) / (len(trainings) - 1) / (n - 1) / n)


def probability_of_best(trainings: Sequence[Sequence[float]], winner: int) -> float | None:
    """That the finalist with this index is truly the best of them, to within 0.01; None where nothing says so."""
    if standard_error(trainings) is None:
        return None
    k, n = len(trainings), len(trainings[0])
    means = [_mean(row) for row in trainings]
    within, between = _within(trainings), _squares(means)
    if not between:
        return round(1 / k, 4)
    leads = [means[winner] - mean for i, mean in enumerate(means) if i != winner]
    freedom = n * (k - 1)
    logs, found = list[float](), list[float]()
    for share in _SHARES:
        total = within + n * (1 - share) * between  # over σ², it is χ² with so many degrees of freedom
        logs.append((k - 1) / 2 * math.log(1 - share) - freedom / 2 * math.log(total))
        found.append(_highest([lead * math.sqrt(share * n / total) for lead in leads], freedom))
    weights = [math.exp(log - max(logs)) for log in logs]
    return round(math.fsum(w * p for w, p in zip(weights, found, strict=True)) / math.fsum(weights), 4)


def _highest(leads: Sequence[float], freedom: int) -> float:
    """That a standard normal variable is above others that lie lower by leads × χ, of this many degrees."""
    logs = [step / math.sqrt(2 * freedom) for step in _STEPS]  # of χ over the root of its degrees
    chis = [math.sqrt(freedom) * math.exp(log) for log in logs]
    densities = [math.exp(freedom * log - (chi**2 - freedom) / 2) for log, chi in zip(logs, chis, strict=True)]
    weights, above = list[float](), list[float]()
    for chi, density in zip(chis, densities, strict=True):
        for z in _STEPS:
            weights.append(density * _NORMAL.pdf(z))
            above.append(weights[-1] * math.prod(_NORMAL.cdf(z + lead * chi) for lead in leads))
    return math.fsum(above) / math.fsum(weights)


def _within(trainings: Sequence[Sequence[float]]) -> float:
    """The sum of squares that neither the finalist nor the number of the training accounts for."""
    columns = [_mean(column) for column in zip(*trainings, strict=True)]
    return math.fsum(_squares([x - column for x, column in zip(row, columns, strict=True)]) for row in trainings)


def _squares(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
