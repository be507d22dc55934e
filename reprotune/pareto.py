"""Pareto front, knee, hypervolume and pruner for two objectives: cost, minimised, and accuracy, maximised."""

import math
from collections.abc import Sequence

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

Point = tuple[float, float]  # cost, accuracy


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other dominates, by rising cost; equal points are all on the front."""
    indices = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    kept: list[int] = []
    for i in indices:
        if not kept or points[i][1] > points[kept[-1]][1] or points[i] == points[kept[-1]]:
            kept.append(i)
    return kept


def knee(points: Sequence[Point]) -> int:
    """Index of the front's point that stands highest above the straight line between the front's two ends.

    points: a front by rising cost. Cost on a log scale, both axes scaled to 0 … 1 between the ends; the
    cheapest of equals. (Satopaa et al. 2011, "Finding a kneedle in a haystack".)
    """
    (low, worst), (high, best) = points[0], points[-1]
    if low == high:
        return 0

    def height(point: Point) -> float:
        return (point[1] - worst) / (best - worst) - math.log(point[0] / low) / math.log(high / low)

    return max(range(len(points)), key=lambda i: (height(points[i]), -i))


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The share, 0 … 1, of the box between the reference point (highest cost, lowest accuracy) and the ideal
    (no cost, accuracy 1) that the points dominate.
    """
    costliest, floor = reference
    area, reached = 0.0, floor
    for cost, accuracy in (points[i] for i in front(points)):
        if cost < costliest and accuracy > reached:
            area += (costliest - cost) * (accuracy - reached)
            reached = accuracy
    return area / (costliest * (1 - floor))


class ParetoPruner(BasePruner):
    """Prunes a trial as soon as a finished trial that costs no more is ahead of it by more than `margin`.

    Only more accuracy than all that cost no more would bring it to the front. Such a rival is compared after the
    same epoch; one that was trained for fewer epochs, at the same share of its training, since an accuracy rises
    with the epochs and a schedule ends with them. Where learning curves do not cross, a rival that is ahead stays
    so. `margin`: by how much accuracy a curve may catch up; it covers the noise too, and a higher one prunes less.

    Reads a study of accuracies whose trials have the user attributes `cost` (of which only the order counts) and
    `epochs` (how many its training has).
    """

    def __init__(self, margin: float) -> None:
        self._margin = margin

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        rivals = (rival for rival in finished if rival.user_attrs["cost"] <= trial.user_attrs["cost"])
        return any(_lead(rival, trial) > self._margin for rival in rivals)


def _lead(rival: FrozenTrial, trial: FrozenTrial) -> float:
    """By how much the rival was more accurate at this point of its training; nothing before its first epoch."""
    assert trial.last_step is not None
    epochs = trial.user_attrs["epochs"]
    step = trial.last_step * min(rival.user_attrs["epochs"], epochs) // epochs
    return rival.intermediate_values[step] - trial.intermediate_values[trial.last_step] if step else 0.0
