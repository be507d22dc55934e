"""What failed because of the machine is forgotten, so that the next run trains it again."""

import shutil
from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from reprotune.pipeline import finalists
from reprotune.search.study import journal
from reprotune.search.study.journal import Journal
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial, as_asked, recorded, told
from reprotune.search.trial import Result


def forget_failures(spec: StudySpec) -> list[int]:
    """The trials that failed for want of memory, a file, a worker or time, or a repeat of theirs: their numbers.

    They leave the journal, and so does what was proposed with their failure in view: the study becomes the one
    that an undisturbed run gives. The journal as it was stays beside it.
    """
    if not spec.journal.exists():
        return []
    with journal.opened(spec.journal, spec.directions, lambda _: False) as opened:
        failed = [trial.number for trial in told(spec, opened) if trial.result.by_machine]
        repeats = {key: result for key, result in opened.repeats.items() if not result.by_machine}
        again = {number for number, _ in opened.repeats.keys() - repeats.keys()}
        if failed or again:
            shutil.copy(spec.journal, spec.journal.with_suffix(".previous"))
            trials = list(recorded(opened))
            asked = trials[: failed[0] + spec.window] if failed else trials
            kept = [t.number for t in asked if not (failed and t.result.by_machine)]  # others beyond its end are left
            if spec.rung and failed:  # those after it were judged beside it
                kept = kept[: failed[0]]
            # When it was asked, no timeout was over: those that were told after that are told after it again.
            before = trials[: max(0, failed[0] - spec.window + 1)] if failed else trials
            most = max((trial.elapsed for trial in before), default=0.0)
            _rewrite(spec, [replace(trial, elapsed=min(trial.elapsed, most)) for trial in asked], kept, repeats)
    return sorted({*failed, *again})


def was_stopped(spec: StudySpec) -> bool:
    """Whether the study was not run to its end since its failures were forgotten, or at all: results that are there
    may still be those with the failures.
    """
    if not spec.journal.exists():
        return False
    with journal.opened(spec.journal, spec.directions, lambda _: False) as opened:
        return opened.ended is None or not finalists.finished(spec, told(spec, opened), opened)


def _rewrite(
    spec: StudySpec, trials: list[Trial], kept: Container[int], repeats: Mapping[tuple[int, int], Result]
) -> None:
    """The journal of these trials, of which the `kept` are told."""
    with TemporaryDirectory(dir=spec.journal.parent) as folder:
        path = Path(folder) / spec.journal.name
        rewritten = Journal(path, spec.directions)
        for trial in trials:
            asked = as_asked(trial.optuna)
            asked.number = trial.number
            rewritten.ask(asked)
            if trial.number in kept:
                rewritten.tell(trial.number, trial.result, spec.values(trial.result), trial.elapsed)
        for (number, repeat), result in repeats.items():
            if number < len(trials):
                rewritten.keep_repeat(number, repeat, result)
        path.replace(spec.journal)
