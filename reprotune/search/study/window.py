"""The in-order window: ask → submit → tell.

Trial t is asked exactly when the trials numbered ≤ t − window have been told, in the order of their numbers,
and no others. So what is proposed depends on no worker's speed, and trial t on no later trial. A study is
always run from its first trial: what its journal already holds is replayed, and only the rest is trained.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from reprotune.search.history import History, HistorySnapshot, PastTrial
from reprotune.search.journal import Journal
from reprotune.search.pareto import Point
from reprotune.search.pruners import goes_on
from reprotune.search.samplers import PRUNED_AS_COMPLETE, TAKE_CONSTRAINTS, successor
from reprotune.search.space import suggest
from reprotune.search.spec import StudySpec, seeds
from reprotune.search.stopping import Stopping, ended_by
from reprotune.search.trial import Result, Task, run_trial, unless_late
from reprotune.training.models import Config

ATTEMPTS = 30  # to propose a trial that is not above a cap
BY_SAMPLER = 10  # the first of them; the rest is random, as CMA-ES would not leave the centre of the space


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


def run(
    spec: StudySpec, journal: Journal, executor: Executor, meanwhile: Callable[[], object] = lambda: None
) -> Iterator[Trial]:
    """Run the study, or what the journal lacks of it; the trials as they are told, in the order of their numbers.

    What was asked and lies beyond the study's end is left in the journal, asked or told, for a longer one.
    meanwhile: called once the first window is asked, and before any of it is told.
    """
    _adopt(spec, journal)
    known = told(spec, journal)
    most = len(known) if ended_by(spec, known) else spec.n_trials
    window, stopping = _Window(spec, journal, executor), Stopping(spec)
    asked = 0
    while asked < min(spec.window, most) and window.ask(asked):
        asked += 1
    meanwhile()
    number, more = 0, asked == spec.window
    while number < asked and (trial := window.tell(number)):
        ended = stopping.tell(trial)
        more = more and not ended and asked < most and window.ask(asked)
        number, asked = number + 1, asked + more
        yield trial  # after the ask, so that no worker waits for what is done with it
        if ended:
            break
    journal.end(number)


def _adopt(spec: StudySpec, journal: Journal) -> None:
    """Record what a journal lacks of the adopted trials: all of them, or what a kill amid this has left."""
    for number, (config, result) in enumerate(spec.adopted):
        if number == len(journal.trials):
            journal.ask(frozen_trial(spec, number, config, None))
        if not journal.trial(number).state.is_finished():
            journal.tell(number, result, spec.values(result), 0.0)


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
        if not (result := Journal.result(trial)):
            return
        yield _told(trial, result)


def _told(trial: FrozenTrial, result: Result) -> Trial:
    return Trial(trial.number, trial.params, result, trial.user_attrs["told"]["elapsed"], trial)


def task(spec: StudySpec, number: int, config: Config, history: History, until: int | None = None) -> Task:
    """What a worker needs for trial `number`, or for its part up to a rung: the epoch `until`.

    history: of the trials told when it was asked, or of more.
    """
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
        until,
        metric=spec.metric,
    )


def repeat_task(spec: StudySpec, number: int, config: Config, repeat: int) -> Task:
    """Trial `number` once more, with seeds of its own, and to its end."""
    unpruned = task(replace(spec, pruner="none", pruner_settings={}), number, config, History())
    return replace(unpruned, seed=seeds(spec.seed, spec.name, number, repeat)[1])


def rung_point(spec: StudySpec, result: Result | None) -> Point | None:
    """(cost, or 0 without one; accuracy) of a trial at its rung, or at the end of a shorter training; None if it has
    not come so far.
    """
    if not spec.rung or not result or not (reached := result.curve[: spec.rung.epoch]):
        return None
    if len(reached) < spec.rung.epoch and result.state != "COMPLETE":
        return None
    return (cast("float", result.value(spec.cost)) if spec.cost else 0.0, reached[-1].valid_accuracy)


def ends_at(spec: StudySpec, points: Sequence[Point | None]) -> int | None:
    """The epoch at which its rung ends the last of these trials; None if it goes on."""
    return spec.rung.epoch if spec.rung and not goes_on(spec.rung, points) else None


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
        self._samplers = dict[str, BaseSampler]()  # the last of each name
        self._history = History()
        self._futures: dict[int, Future[Result | None]] = {}
        self._asked = 0
        self._rung: list[Point | None] = []  # of the trials whose rung was asked, in the order of their numbers
        self._at_rung: dict[int, Result] = {}  # of those that went on and are not told

    def ask(self, number: int) -> bool:
        """Ask trial `number`, or take it from the journal, and submit it. False if the timeout forbids it."""
        if number < self._recorded:
            self._study.add_trial(as_asked(self._journal.trial(number)))
        elif self._deadline is not None and self._clock() >= self._deadline:
            return False
        else:
            self._propose(number)
        self._asked = number + 1
        trial = self._journal.trial(number)
        if trial.state.is_finished():
            return True
        if too_large := self._spec.too_large(trial.params):
            self._futures[number] = Future()
            self._futures[number].set_result(too_large)
        else:
            until = self._spec.rung.epoch if self._spec.rung else None
            work = task(self._spec, number, trial.params, self._history, until)
            punctual = partial(unless_late, run_trial, self._clock, self._deadline)
            self._futures[number] = self._executor.submit(punctual, work)
        return True

    def _climb(self, last: int) -> None:
        """Let the trials up to number `last` go on beyond their rung, as far as they are to."""
        while len(self._rung) < min(last + 1, self._asked):
            number = len(self._rung)
            trial, future = self._journal.trial(number), self._futures.get(number)
            result = awaited(future, self._spec.trial_timeout) if future else Journal.result(trial)
            self._rung.append(rung_point(self._spec, result))
            if future and result and result.at_rung and not ends_at(self._spec, self._rung):
                self._at_rung[number] = result
                whole = replace(task(self._spec, number, trial.params, self._history), reached=result)
                self._futures[number] = self._executor.submit(run_trial, whole)

    def _propose(self, number: int) -> None:
        own = number - len(self._spec.adopted)
        if own < len(self._spec.first):
            self._study.enqueue_trial(dict(self._spec.first[own]))
        for attempt in range(ATTEMPTS):
            name = self._spec.sampler if attempt < BY_SAMPLER else "random"
            seed = seeds(self._spec.seed, self._spec.name, number, attempt or None)[0]
            self._samplers[name] = self._study.sampler = successor(name, seed, self._samplers.get(name))
            trial = self._asked_again(number) if attempt else self._study.ask()
            suggest(trial, self._spec.space)
            if not self._spec.too_large(trial.params):
                break
        asked = self._storage.get_trial(trial._trial_id)
        asked.set_user_attr("attempts", attempt + 1)
        self._journal.ask(asked)

    def _asked_again(self, number: int) -> optuna.Trial:
        """The trial, as if nothing had been proposed for it."""
        trial_id = self._trial_id(number)
        asked = self._storage.get_trial(trial_id)  # the one that the storage holds
        asked.params, asked.distributions, asked.system_attrs = {}, {}, {}
        return optuna.Trial(self._study, trial_id)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)

    def tell(self, number: int) -> Trial | None:
        """Await trial `number`, record its result, and let the next asks see it. None if the timeout came before it."""
        if self._spec.rung:  # some beyond it too: while it is awaited, no worker is to wait
            self._climb(number + self._spec.window // 2)
        if future := self._futures.pop(number, None):
            if not (result := awaited(future, self._spec.trial_timeout)):
                return None
            result, reached = replace(result, checkpoint=None), self._at_rung.pop(number, None)
            if reached and result.by_machine:  # those after it were judged beside what it had reached
                result = replace(result, curve=reached.curve, cost=reached.cost)
            self._journal.tell(number, result, self._spec.values(result), time.monotonic() - self._started)
        trial = self._journal.trial(number)
        told = Journal.result(trial)
        assert told is not None
        self._tell_sampler(number, told)
        self._history.append(past_trial(self._spec, told))
        return _told(trial, told)

    def _tell_sampler(self, number: int, result: Result) -> None:
        trial_id = self._trial_id(number)
        if len(self._spec.objectives) == 1:  # with several, TPE fails on a trial that has intermediate values
            for epoch, point in enumerate(result.curve, start=1):
                self._storage.set_trial_intermediate_value(trial_id, epoch, point.valid_accuracy)
        passed_over = result.state == "PRUNED" and result.curve and self._spec.sampler in PRUNED_AS_COMPLETE
        seen = replace(result, state="COMPLETE") if passed_over else result
        violations = self._spec.violations(seen) if self._spec.sampler in TAKE_CONSTRAINTS else {}
        for name, violation in violations.items():  # before the tell: a told trial is not to be changed
            self._storage.get_trial(trial_id).set_constraint(name, violation)
        values = self._spec.values(seen) if seen.state == "COMPLETE" else None
        self._study.tell(number, values, TrialState[seen.state])


def awaited(future: Future[Result] | Future[Result | None], trial_timeout: float | None) -> Result | None:
    """What a worker gave back, or the FAIL that the machine made of it; None if it came too late to begin."""
    try:
        return future.result(trial_timeout)
    except TimeoutError:
        reason = f"TimeoutError: took longer than execution.trial_timeout = {trial_timeout} s"
    except BrokenExecutor as error:  # the machine let it down whenever it ran
        reason = f"{type(error).__name__}: {error}"
    return Result("FAIL", (), None, reason, by_machine=True)


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


def finished(spec: StudySpec, journal: Journal) -> bool:
    """Whether nothing is left to train."""
    trials = told(spec, journal)
    timed_out = spec.timeout is not None and journal.elapsed >= spec.timeout and len(trials) == journal.ended
    return timed_out or ended_by(spec, trials) is not None
