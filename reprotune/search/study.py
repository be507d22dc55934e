"""The in-order window: ask → submit → tell.

Trial t is asked exactly when the trials numbered ≤ t − window have been told, in the order of their numbers,
and no others. So what is proposed depends on no worker's speed, and trial t on no later trial. A study is
always run from its first trial: what its journal already holds is replayed, and only the rest is trained.
"""

import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from reprotune.search.history import History, HistorySnapshot, PastTrial
from reprotune.search.journal import Journal
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


def run(spec: StudySpec, journal: Journal, executor: Executor) -> Iterator[Trial]:
    """Run the study, or what the journal lacks of it; the trials as they are told, in the order of their numbers."""
    window = _Window(spec, journal, executor)
    first = range(min(spec.window, spec.n_trials))
    asked = sum(1 for _ in takewhile(window.ask, first))
    number, more = 0, asked == spec.window
    while number < asked and (told := window.tell(number)):
        more = more and asked < spec.n_trials and window.ask(asked)
        number, asked = number + 1, asked + more
        yield told  # after the ask, so that no worker waits for what is done with it
    journal.end(number)


def told(journal: Journal, n_trials: int) -> list[Trial]:
    """The trials that the journal holds, up to the first that was not told."""
    results = ((trial, Journal.result(trial)) for trial in journal.trials[:n_trials])
    return [_told(trial, result) for trial, result in takewhile(lambda pair: pair[1], results) if result]


def _told(trial: FrozenTrial, result: Result) -> Trial:
    return Trial(trial.number, trial.params, result, trial.user_attrs["told"]["elapsed"], trial)


def task(spec: StudySpec, number: int, config: Config, history: History) -> Task:
    """What a worker needs for trial `number`. history: of the trials told when it was asked, or of more."""
    past = HistorySnapshot() if spec.pruner == "none" else history.first(max(0, number - spec.window + 1))
    training_seed, dataset = seeds(spec.seed, spec.name, number)[1], spec.dataset
    return Task(
        number, config, training_seed, dataset.folder, dataset.digest, spec.device, spec.cost, spec.pruner, past
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
        if number == 0 and self._spec.first:
            self._study.enqueue_trial(dict(self._spec.first))
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
    trials = len(told(journal, spec.n_trials))
    timed_out = spec.timeout is not None and journal.elapsed >= spec.timeout
    return trials == spec.n_trials or (timed_out and trials == journal.ended)
