"""FIRST, SECOND: pruning rules for a study of accuracy, and for one of cost and accuracy, as they act on whole curves.

What a rule decides of recorded trials is how many epochs each is trained; benchmarks/replay.py says what that saves.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from optuna.pruners import BasePruner, MedianPruner, NopPruner, PercentilePruner
from optuna.trial import FrozenTrial

from benchmarks.curves import Curve
from reprotune.params import LedRung, Rung, ShareRung
from reprotune.search import pruners
from reprotune.search.history import PastTrial, frozen_trials
from reprotune.search.pareto import Point
from reprotune.search.pruners import ParetoPruner, TrialPruner

Rule = Callable[[Sequence[Curve], int], list[int]]  # (trials, window) → how many epochs each is trained
At = int | float  # a point of a training: an epoch, or a share of all its epochs


def epoch_at(at: At, epochs: int) -> int:
    return min(at, epochs) if isinstance(at, int) else math.ceil(at * epochs)


# One by one: a trial is judged as it goes, by those that were told when it was asked.


@dataclass(frozen=True)
class Pruned:
    """shares: a step is this part of a trial's own training, and not an epoch.

    compared: (cost of another trial, own cost) → whether a trial is compared with it.
    """

    pruner: Callable[[], BasePruner]
    shares: int | None = None
    compared: Callable[[float, float], bool] = lambda other, own: True
    rung: Rung | None = None

    def __call__(self, trials: Sequence[Curve], window: int) -> list[int]:
        past: list[FrozenTrial] = []
        trained = []
        for number, (cost, accuracies) in enumerate(trials):
            told = past[: max(0, number - window + 1)]
            known = [other for other in told if self.compared(other.user_attrs["cost"], cost)]
            steps = _steps(len(accuracies), self.shares)
            judge = TrialPruner(self.pruner(), known, number, cost, len(steps))
            reached = self._reached(judge, accuracies, steps, self._last(trials[: number + 1]))
            trained.append(steps[reached - 1])
            seen = tuple(accuracies[epoch - 1] for epoch in steps[:reached])
            ended = PastTrial("COMPLETE" if reached == len(steps) else "PRUNED", seen, cost, judge.attrs)
            past += frozen_trials([ended], number)
        return trained

    def _last(self, trials: Sequence[Curve]) -> int | None:
        """The epoch at which its rung ends the last of these trials."""
        if not self.rung:
            return None
        with_cost = isinstance(self.rung, LedRung)
        points = [(cost if with_cost else 0.0, accuracies[: self.rung.epoch][-1]) for cost, accuracies in trials]
        return None if pruners.goes_on(self.rung, points) else self.rung.epoch

    @staticmethod
    def _reached(judge: TrialPruner, accuracies: Sequence[float], steps: Sequence[int], last: int | None) -> int:
        """How many steps a trial is trained."""
        epochs = len(accuracies)
        for step, epoch in enumerate(steps, start=1):
            behind = judge.should_prune(step, accuracies[epoch - 1]) or epoch == last
            if behind and epoch < epochs and epoch < steps[step]:  # the last step that this epoch reaches
                return step
        return len(steps)


def _steps(epochs: int, shares: int | None) -> list[int]:
    """The epoch with which each step is reached."""
    return [math.ceil(step * epochs / shares) for step in range(1, shares + 1)] if shares else [*range(1, epochs + 1)]


# In cohorts: all of a cohort are trained up to one point, and the promising ones of them to their end.


def promising(
    kept: Callable[[Sequence[Point], int], list[bool]], cohort: int | None, at: At, trials: Sequence[Curve], _: int
) -> list[int]:
    """kept: (all points so far, how many of them are this cohort's, the last ones) → which of the cohort go on.

    cohort: its size; None: all trials.
    """
    trained: list[int] = []
    points: list[Point] = []
    size = cohort or len(trials)
    for begin in range(0, len(trials), size):
        own = trials[begin : begin + size]
        stops = [epoch_at(at, len(accuracies)) for _, accuracies in own]
        points += [(cost, accuracies[stop - 1]) for (cost, accuracies), stop in zip(own, stops, strict=True)]
        goes_on = kept(points, len(own))
        trained += [len(curve[1]) if goes else stop for curve, stop, goes in zip(own, stops, goes_on, strict=True)]
    return trained


def best(share: float, points: Sequence[Point], own: int) -> list[bool]:
    """The most accurate ones of this cohort: such a share of it, rounded up."""
    accuracies = [accuracy for _, accuracy in points[-own:]]
    chosen = sorted(range(own), key=lambda i: -accuracies[i])[: math.ceil(share * own)]
    return [i in chosen for i in range(own)]


def unled(margin: float, points: Sequence[Point], own: int) -> list[bool]:
    """Those that no trial so far which costs no more leads by more than the margin."""
    return [
        all(accuracy - point[1] <= margin for cost, accuracy in points if cost <= point[0]) for point in points[-own:]
    ]


def _median(warm_up: int = 0) -> Callable[[], BasePruner]:
    return partial(MedianPruner, n_warmup_steps=warm_up)


def _pareto(margin: float = 0.02, warm_up: int = 0) -> Callable[[], BasePruner]:
    return partial(ParetoPruner, margin, warm_up)


FIRST: Mapping[str, Rule] = {
    "median": Pruned(_median()),
    "median, warm-up 2": Pruned(_median(2)),
    "median, warm-up 4": Pruned(_median(4)),
    "median, steps of a tenth": Pruned(_median(), shares=10),
    "median, steps of a twentieth": Pruned(_median(), shares=20),
    **{
        f"rung: epoch 1, the best {share:.0%} of {among}": Pruned(
            NopPruner, rung=ShareRung(epoch=1, share=share, among=among)
        )
        for share, among in ((0.2, 25), (0.25, 25))
    },
    "percentile 25": Pruned(partial(PercentilePruner, 25.0)),
    **{f"all to epoch {at}, the best tenth": partial(promising, partial(best, 0.1), None, at) for at in (1, 2, 4)},
    **{f"all to {at:.0%}, the best tenth": partial(promising, partial(best, 0.1), None, at) for at in (0.1, 0.3)},
    **{f"25 to epoch {at}, the best quarter": partial(promising, partial(best, 0.25), 25, at) for at in (1, 2)},
    "25 to 10%, the best quarter": partial(promising, partial(best, 0.25), 25, 0.1),
    "8 to epoch 1, the best quarter": partial(promising, partial(best, 0.25), 8, 1),
}
SECOND: Mapping[str, Rule] = {
    **{f"pareto, margin {margin}": Pruned(_pareto(margin)) for margin in (0.0, 0.01, 0.02, 0.03)},
    **{
        f"rung: epoch 1, margin {margin}": Pruned(NopPruner, rung=LedRung(epoch=1, margin=margin))
        for margin in (0.02, 0.05)
    },
    "rung: epoch 1, margin 0.05, then pareto, 0.03": Pruned(_pareto(0.03, 2), rung=LedRung(epoch=1, margin=0.05)),
    "pareto, warm-up 2": Pruned(_pareto(warm_up=2)),
    "pareto, warm-up 4": Pruned(_pareto(warm_up=4)),
    "pareto, steps of a tenth": Pruned(_pareto(), shares=10),
    "pareto, steps of a twentieth": Pruned(_pareto(), shares=20),
    "pareto, steps of a twentieth, margin 0.04": Pruned(_pareto(0.04), shares=20),
    "median of what costs no more": Pruned(_median(), compared=lambda other, own: other <= own),
    "median of half to twice the cost": Pruned(_median(), compared=lambda other, own: own / 2 <= other <= own * 2),
    "median of all": Pruned(_median()),
    **{f"all to epoch {at}, margin 0.02": partial(promising, partial(unled, 0.02), None, at) for at in (1, 2, 4)},
    "all to 20%, margin 0.02": partial(promising, partial(unled, 0.02), None, 0.2),
    **{f"25 to epoch 1, margin {margin}": partial(promising, partial(unled, margin), 25, 1) for margin in (0.02, 0.05)},
    **{f"25 to epoch 2, margin {margin}": partial(promising, partial(unled, margin), 25, 2) for margin in (0.02, 0.03)},
    **{f"25 to 10%, margin {margin}": partial(promising, partial(unled, margin), 25, 0.1) for margin in (0.02, 0.03)},
    "8 to epoch 1, margin 0.05": partial(promising, partial(unled, 0.05), 8, 1),
}
