"""What a person reads while a stage works: a bar in a terminal, lines in a log, nothing if they asked for that."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reprotune import cli
from reprotune.data.metric import told
from reprotune.results.winners import point
from reprotune.search import pareto
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.stopping import Stopping
from reprotune.search.study.trials import Trial

Show = Callable[[float, str, str], None]  # (share that is done, 0 … 1; how things stand; what has just ended)


@contextmanager
def display() -> Iterator[Show]:
    """What shows progress, as long as the context lasts."""
    if cli.asked("-q", "--quiet"):
        yield lambda share, state, line: None
    elif sys.stdout.isatty() and os.environ.get("TERM") != "dumb":  # which shows a bar at its end only
        with _bar() as show:
            yield show
    else:
        yield lambda share, state, line: print(line, flush=True)


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = SpinnerColumn("line"), BarColumn(bar_width=None), TextColumn("{task.fields[state]}")
    with Progress(*columns, expand=True) as progress:  # what turns shows that it works, however long a trial takes
        bar = progress.add_task("", total=1000, state="starts")
        # `update` would leave one that was full as it is, though finalists may follow.
        yield lambda share, state, line: progress.reset(bar, completed=int(1000 * share), state=state)


class StudyProgress:
    """How a study stands."""

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._best: Trial | None = None
        self._front: list[pareto.Point] = []
        self._stopping = Stopping(spec)
        self._told = self._pruned = self._failed = 0
        self._adopted_epochs = sum(len(result.curve) for _, result in spec.adopted)

    def show(self, trial: Trial, show: Show) -> None:
        """Count the trial, and show how the study stands now."""
        state = trial.result.state
        self._told += 1
        self._pruned += state == "PRUNED"
        self._failed += state == "FAIL"
        if state == "COMPLETE":
            if self._best is None or _accuracy(trial) > _accuracy(self._best):
                self._best = trial
            if self._spec.cost and self._spec.feasible(trial.result):
                self._front = pareto.extended(self._front, point(trial))
        left, share = self._left(trial.elapsed, ended=self._stopping.tell(trial) is not None)
        best = f"best {_accuracy(self._best):.4f}" if self._best else "no best yet"
        front = f", front {len(self._front)}" if self._spec.cost else ""
        counts = f"{self._pruned} pruned, {self._failed} failed, {best}{front}, {left} left"
        total = self._spec.n_trials
        score = f"{told(self._spec.metric)} {_accuracy(trial):.4f}"
        outcome = trial.result.reason if state == "FAIL" or trial.result.untrained else score
        ended = f"[{self._told:>{len(str(total))}}/{total}] {state:<8} epoch {len(trial.result.curve):<3} {outcome}"
        show(share, f"{self._told}/{total}, {counts}", f"{ended} | {counts}")

    def _left(self, elapsed: float, ended: bool) -> tuple[str, float]:
        """(minutes and seconds, share done), by trials or epochs at the speed so far or by the timeout, whichever ends
        first. When `patience` ends a study is not known before it does. Adopted trials took no time.
        """
        trained = self._told - len(self._spec.adopted)
        if not ended and (trained <= 0 or not elapsed):
            return "?", 0.0
        left = 0.0 if ended else elapsed / trained * (self._spec.n_trials - self._told)
        if self._spec.max_epochs is not None and (epochs := self._stopping.epochs - self._adopted_epochs):
            left = min(left, elapsed / epochs * max(0, self._spec.max_epochs - self._stopping.epochs))
        if self._spec.timeout is not None:
            left = min(left, max(0.0, self._spec.timeout - elapsed))
        return f"{int(left) // 60}:{int(left) % 60:02}", elapsed / (elapsed + left) if left else 1.0


def _accuracy(trial: Trial) -> float:
    return trial.result.accuracy or 0.0
