"""The in-order window: ask → submit → tell.

Trial t is asked exactly when the trials numbered ≤ t − window have been told, in the order of their numbers,
and no others. So what is proposed depends on no worker's speed, and trial t on no later trial. A study is
always run from its first trial: what its journal already holds is replayed, and only the rest is trained.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import partial

from reprotune.search.history import History
from reprotune.search.pareto import Point
from reprotune.search.study.journal import Journal
from reprotune.search.study.proposals import Proposals
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.stopping import Stopping, ended_by
from reprotune.search.study.tasks import awaited, ends_at, past_trial, rung_point, task
from reprotune.search.study.trials import Trial, as_asked, as_told, frozen_trial, told
from reprotune.search.trial import Result, run_trial, unless_late


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


class _Window:
    """The trials in flight: asked, trained and told in step with the journal, and with what proposes the next."""

    def __init__(self, spec: StudySpec, journal: Journal, executor: Executor) -> None:
        self._spec, self._journal, self._executor = spec, journal, executor
        self._started = time.monotonic() - journal.elapsed
        # Whatever is done to the time of day, and however long a laptop sleeps.
        self._clock = getattr(executor, "clock", time.monotonic)
        self._deadline = self._clock() - journal.elapsed + spec.timeout if spec.timeout else None
        self._recorded = len(journal.trials)
        self._proposals, self._history = Proposals(spec), History()
        self._futures: dict[int, Future[Result | None]] = {}
        self._asked = 0
        self._rung: list[Point | None] = []  # of the trials whose rung was asked, in the order of their numbers
        self._at_rung: dict[int, Result] = {}  # of those that went on and are not told

    def ask(self, number: int) -> bool:
        """Ask trial `number`, or take it from the journal, and submit it. False if the timeout forbids it."""
        if number < self._recorded:
            self._proposals.replay(as_asked(self._journal.trial(number)))
        elif self._deadline is not None and self._clock() >= self._deadline:
            return False
        else:
            self._journal.ask(self._proposals.propose(number))
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
        trial = as_told(self._journal.trial(number))
        assert trial is not None
        self._proposals.tell(number, trial.result)
        self._history.append(past_trial(self._spec, trial.result))
        return trial

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
