"""When a study ends: a function of its told trials."""

from collections.abc import Iterable
from typing import Any, Literal, Protocol, cast

from reprotune.search.pareto import Point, extended, hypervolume
from reprotune.search.space import size
from reprotune.search.study.spec import StudySpec
from reprotune.search.trial import Result
from reprotune.training.models import Config

# And "timeout", which the trials cannot tell.
StoppedBy = Literal["n_trials", "max_epochs", "exhausted", "patience"]


class Told(Protocol):
    """What it reads of a trial."""

    @property
    def config(self) -> Config: ...
    @property
    def result(self) -> Result: ...


class Stopping:
    """What ends a study, as a function of its told trials in the order of their numbers.

    n_trials, max_epochs: it ends with the trial that makes them so many, or their epochs so many or more.
    exhausted: every config that the search space has was tried.
    patience: it ends with the trial that is the last of so many, and these brought nothing that counts. For one
    objective: the best accuracy of a complete trial before them was p, the best with them is no more than the
    standard error of p (StudySpec.standard_error) above it. For two: the hypervolume has not grown.
    Trials before which none was complete, and not below the floor, are not judged.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._reached: list[float | None] = [None]  # after 0, 1, … trials; None until one is complete
        self._front: list[Point] = []
        self._configs = size(spec.space)
        self._tried: set[str] = set()
        self.epochs = 0  # of the told trials

    def tell(self, trial: Told) -> StoppedBy | None:
        """What ends the study with this trial, the first of them if several do; None if it goes on."""
        self.epochs += len(trial.result.curve)
        self._reached.append(self._reach(trial.result))
        self._tried.add(repr(sorted((name, _one_of_steps(value)) for name, value in trial.config.items())))
        if len(self._reached) > self._spec.n_trials:
            return "n_trials"
        if self._spec.max_epochs and self.epochs >= self._spec.max_epochs:
            return "max_epochs"
        if len(self._tried) == self._configs:
            return "exhausted"
        return "patience" if self._in_vain() else None

    def _reach(self, result: Result) -> float | None:
        """The best accuracy or the hypervolume, which only `patience` asks for."""
        before = self._reached[-1]
        if not self._spec.patience or not self._spec.feasible(result):
            return before
        *cost, accuracy = cast("list[float]", self._spec.values(result))
        if not cost:
            return max(accuracy, before or 0.0)
        self._front = extended(self._front, (cost[0], accuracy))
        return hypervolume(self._front, self._spec.reference_point)

    def _in_vain(self) -> bool:
        patience, now = self._spec.patience, self._reached[-1]
        before = self._reached[-1 - patience] if patience and patience < len(self._reached) else None
        if before is None or now is None:
            return False
        return now - before <= (0.0 if self._spec.cost else self._spec.standard_error(before))


def _one_of_steps(value: Any) -> Any:
    """The same for 0.3 and 0.1 + 0.2: samplers reach a step of a range in their own ways."""
    return round(value, 12) if isinstance(value, float) else value


def ended_by(spec: StudySpec, trials: Iterable[Told]) -> StoppedBy | None:
    """What ended the study with the last of these trials; None if that did not: it goes on, or timed out."""
    stopping, reason = Stopping(spec), None
    for trial in trials:
        reason = stopping.tell(trial)
    return reason
