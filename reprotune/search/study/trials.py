"""The trials of a study: as they were told, as its journal holds them, and as Optuna has them."""

from collections.abc import Iterator
from dataclasses import dataclass

from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from reprotune.search.space import suggest
from reprotune.search.study.journal import Journal
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.stopping import Stopping, ended_by
from reprotune.search.trial import Result
from reprotune.training.models import Config


@dataclass(frozen=True)
class Trial:
    """A told trial. `optuna`: as the journal keeps it, with its params, distributions, values and dates.

    `repeats`: of a finalist, its further trainings; a curve is its last point alone.
    """

    number: int
    config: Config
    result: Result
    elapsed: float  # seconds that the study had taken when it was told, over all its resumes
    optuna: FrozenTrial
    repeats: tuple[Result, ...] = ()


def told(spec: StudySpec, journal: Journal) -> list[Trial]:
    """The study's trials that the journal holds: up to its end, or the first that was not told."""
    trials, stopping = list[Trial](), Stopping(spec)
    for trial in recorded(journal):
        trials.append(trial)
        if stopping.tell(trial):
            break
    return trials


def recorded(journal: Journal) -> Iterator[Trial]:
    """All that the journal holds, of a longer study too, up to the first that was not told."""
    for trial in journal.trials:
        if not (told := as_told(trial)):
            return
        yield told


def as_told(trial: FrozenTrial) -> Trial | None:
    """A trial of the journal with its result; None if it was asked, but not told."""
    if not (result := Journal.result(trial)):
        return None
    return Trial(trial.number, trial.params, result, trial.user_attrs["told"]["elapsed"], trial)


def finished(spec: StudySpec, journal: Journal) -> bool:
    """Whether nothing is left to train."""
    trials = told(spec, journal)
    timed_out = spec.timeout is not None and journal.elapsed >= spec.timeout and len(trials) == journal.ended
    return timed_out or ended_by(spec, trials) is not None


def frozen_trial(spec: StudySpec, number: int, config: Config, result: Result | None) -> FrozenTrial:
    """The trial as Optuna has it; without a result, as it was when it was asked."""
    fixed = FixedTrial(dict(config))
    suggest(fixed, spec.space)
    trial = create_trial(
        state=TrialState[result.state] if result else TrialState.RUNNING,
        values=spec.values(result) if result else None,
        params=fixed.params,
        distributions=fixed.distributions,
    )
    trial.number = number
    return trial


def as_asked(trial: FrozenTrial) -> FrozenTrial:
    """A trial of the journal as it was when it was asked."""
    attempts = trial.user_attrs.get("attempts")
    return create_trial(
        user_attrs={"attempts": attempts} if attempts else {},
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
    )
