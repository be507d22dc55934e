"""The in-order window: ask → submit → tell.

Trial t is asked exactly when the trials numbered ≤ t − window have been told, in the order of their numbers,
and no others. So what is proposed depends on no worker's speed, and trial t on no later trial. A study is
always run from its first trial: what its journal already holds is replayed, and only the rest is trained.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, cast

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from reprotune.search.history import History, HistorySnapshot, PastTrial
from reprotune.search.journal import Journal
from reprotune.search.pareto import Point, extended, hypervolume
from reprotune.search.samplers import PRUNED_AS_COMPLETE, SAMPLERS
from reprotune.search.space import suggest
from reprotune.search.spec import StudySpec, seeds
from reprotune.search.trial import Result, Task, run_trial, unless_late
from reprotune.training.models import Config


@dataclass(frozen=True)
class Trial:
    """A told trial. `optuna`: as the journal keeps it, with its params, distributions, values and dates."""

    number: int
    config: Config
    result: Result
    elapsed: float  # seconds that the study had taken when it was told, over all its resumes
    optuna: FrozenTrial


StoppedBy = Literal["n_trials", "max_epochs", "patience"]  # and "timeout", which the trials cannot tell


class Stopping:
    """What ends a study, as a function of its told trials in the order of their numbers.

    n_trials, max_epochs: it ends with the trial that makes them so many, or their epochs so many or more.
    patience: it ends with the trial that is the last of so many, and these brought nothing that counts. For one
    objective: the best accuracy of a complete trial before them was p, the best with them is no more than the
    standard error √(p (1 − p) / n) above it, n images being in valid. For two: the hypervolume has not grown.
    Trials before which none was complete are not judged.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._reached: list[float | None] = [None]  # after 0, 1, … trials; None until one is complete
        self._front: list[Point] = []
        self._images = spec.dataset.sizes["valid"] if spec.patience else 0
        self.epochs = 0  # of the told trials

    def tell(self, result: Result) -> StoppedBy | None:
        """What ends the study with this trial, the first of them if several do; None if it goes on."""
        self.epochs += len(result.curve)
        self._reached.append(self._reach(result))
        if len(self._reached) > self._spec.n_trials:
            return "n_trials"
        if self._spec.max_epochs and self.epochs >= self._spec.max_epochs:
            return "max_epochs"
        return "patience" if self._in_vain() else None

    def _reach(self, result: Result) -> float | None:
        """The best accuracy or the hypervolume, which only `patience` asks for."""
        before = self._reached[-1]
        if not self._spec.patience or result.state != "COMPLETE":
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
        return now - before <= (0.0 if self._spec.cost else math.sqrt(before * (1 - before) / self._images))


def ended_by(spec: StudySpec, trials: Sequence[Trial]) -> StoppedBy | None:
    """What ended the study with the last of its trials so far; None if that did not: it goes on, or timed out."""
    stopping, reason = Stopping(spec), None
    for trial in trials:
        reason = stopping.tell(trial.result)
    return reason


def run(
    spec: StudySpec, journal: Journal, executor: Executor, meanwhile: Callable[[], None] = lambda: None
) -> Iterator[Trial]:
    """Run the study, or what the journal lacks of it; the trials as they are told, in the order of their numbers.

    What was asked and lies beyond the study's end is left in the journal, asked or told, for a longer one.
    meanwhile: called once the first window is asked, and before any of it is told.
    """
    known = told(spec, journal)
    most = len(known) if ended_by(spec, known) else spec.n_trials
    window, stopping = _Window(spec, journal, executor), Stopping(spec)
    asked = 0
    while asked < min(spec.window, most) and window.ask(asked):
        asked += 1
    meanwhile()
    number, more = 0, asked == spec.window
    while number < asked and (trial := window.tell(number)):
        ended = stopping.tell(trial.result)
        more = more and not ended and asked < most and window.ask(asked)
        number, asked = number + 1, asked + more
        yield trial  # after the ask, so that no worker waits for what is done with it
        if ended:
            break
    journal.end(number)


def told(spec: StudySpec, journal: Journal) -> list[Trial]:
    """The study's trials that the journal holds: up to its end, or the first that was not told."""
    trials, stopping = list[Trial](), Stopping(spec)
    for trial in recorded(journal):
        trials.append(trial)
        if stopping.tell(trial.result):
            break
    return trials


def recorded(journal: Journal) -> Iterator[Trial]:
    """All that the journal holds, of a longer study too, up to the first that was not told."""
    for trial in journal.trials:
        if not (result := Journal.result(trial)):
            return
        yield _told(trial, result)


def _told(trial: FrozenTrial, result: Result) -> Trial:
    return Trial(trial.number, trial.params, result, trial.user_attrs["told"]["elapsed"], trial)


def task(spec: StudySpec, number: int, config: Config, history: History) -> Task:
    """What a worker needs for trial `number`. history: of the trials told when it was asked, or of more."""
    past = HistorySnapshot() if spec.pruner == "none" else history.first(max(0, number - spec.window + 1))
    training_seed, dataset = seeds(spec.seed, spec.name, number)[1], spec.dataset
    return Task(
        number,
        config,
        training_seed,
        dataset.folder,
        dataset.digest,
        spec.device,
        spec.cost,
        spec.pruner,
        spec.pruner_settings,
        past,
    )


def past_trial(spec: StudySpec, result: Result) -> PastTrial:
    cost = result.value(spec.cost) if spec.cost else None
    return PastTrial(result.state, tuple(point.valid_accuracy for point in result.curve), cost, result.attrs)


class _Window:
    """The study as its next ask may see it: in memory, kept in step with the journal."""

    def __init__(self, spec: StudySpec, journal: Journal, executor: Executor) -> None:
        self._spec, self._journal, self._executor = spec, journal, executor
        self._started = time.monotonic() - journal.elapsed
        # Whatever is done to the time of day, and however long a laptop sleeps.
        self._clock = getattr(executor, "clock", time.monotonic)
        self._deadline = self._clock() - journal.elapsed + spec.timeout if spec.timeout else None
        self._recorded = len(journal.trials)
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(storage=self._storage, directions=spec.directions)
        self._history = History()
        self._futures: dict[int, Future[Result | None]] = {}

    def ask(self, number: int) -> bool:
        """Ask trial `number`, or take it from the journal, and submit it. False if the timeout forbids it."""
        if number < self._recorded:
            self._study.add_trial(as_asked(self._journal.trial(number)))
        elif self._deadline is not None and self._clock() >= self._deadline:
            return False
        else:
            self._propose(number)
        trial = self._journal.trial(number)
        if not trial.state.is_finished():
            work = task(self._spec, number, trial.params, self._history)
            punctual = partial(unless_late, run_trial, self._clock, self._deadline)
            self._futures[number] = self._executor.submit(punctual, work)
        return True

    def _propose(self, number: int) -> None:
        if number < len(self._spec.first):
            self._study.enqueue_trial(dict(self._spec.first[number]))
        self._study.sampler = SAMPLERS[self._spec.sampler](seeds(self._spec.seed, self._spec.name, number)[0])
        trial = self._study.ask()
        suggest(trial, self._spec.space)
        self._journal.ask(self._storage.get_trial(trial._trial_id))

    def tell(self, number: int) -> Trial | None:
        """Await trial `number`, record its result, and let the next asks see it. None if the timeout came before it."""
        if future := self._futures.pop(number, None):
            if not (result := self._await(future)):
                return None
            self._journal.tell(number, result, self._spec.values(result), time.monotonic() - self._started)
        trial = self._journal.trial(number)
        told = Journal.result(trial)
        assert told is not None
        self._tell_sampler(number, told)
        self._history.append(past_trial(self._spec, told))
        return _told(trial, told)

    def _await(self, future: Future[Result | None]) -> Result | None:
        try:
            return future.result(self._spec.trial_timeout)
        except TimeoutError:
            reason = f"TimeoutError: took longer than execution.trial_timeout = {self._spec.trial_timeout} s"
        except BrokenExecutor as error:  # the machine let it down whenever it ran
            reason = f"{type(error).__name__}: {error}"
        return Result("FAIL", (), None, reason, by_machine=True)

    def _tell_sampler(self, number: int, result: Result) -> None:
        if len(self._spec.objectives) == 1:  # with several, TPE fails on a trial that has intermediate values
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
            for epoch, point in enumerate(result.curve, start=1):
                self._storage.set_trial_intermediate_value(trial_id, epoch, point.valid_accuracy)
        passed_over = result.state == "PRUNED" and self._spec.sampler in PRUNED_AS_COMPLETE
        seen = replace(result, state="COMPLETE") if passed_over else result
        values = self._spec.values(seen) if seen.state == "COMPLETE" else None
        self._study.tell(number, values, TrialState[seen.state])


def as_asked(trial: FrozenTrial) -> FrozenTrial:
    """A trial of the journal as it was when it was asked."""
    return create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
    )


def finished(spec: StudySpec, journal: Journal) -> bool:
    """Whether nothing is left to train."""
    trials = told(spec, journal)
    timed_out = spec.timeout is not None and journal.elapsed >= spec.timeout
    return ended_by(spec, trials) is not None or (timed_out and len(trials) == journal.ended)
