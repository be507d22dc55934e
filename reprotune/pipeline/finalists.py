"""The finalists: the best trials, trained again with other seeds, so that no lucky training wins.

Which they are, and what they bring, follows from the study and its trials alone. Their repeats are in the journal.
"""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

from reprotune.data.metric import told
from reprotune.execution.pool import Pool
from reprotune.pipeline.progress import Show
from reprotune.results.winners import first_accuracy, point
from reprotune.search.study.journal import Journal
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.tasks import awaited, repeat_task
from reprotune.search.study.trials import Trial
from reprotune.search.trial import Result, run_trial


def chosen(spec: StudySpec, trials: Sequence[Trial]) -> list[Trial]:
    """The best `finalists.count` complete trials, by the one accuracy that each has so far.

    With two objectives: the nearest to the front, as far as they lie within a standard error of it. Of the front itself
    the most accurate first: at its cheap end the steps from point to point are wide.
    """
    ranked = sorted(_gaps(spec, trials), key=lambda pair: (pair[0], -first_accuracy(pair[1]), pair[1].number))
    near = [trial for gap, trial in ranked if not spec.cost or gap <= spec.standard_error(first_accuracy(trial))]
    return near[: spec.finalists.count]


def _gaps(spec: StudySpec, trials: Sequence[Trial]) -> list[tuple[float, Trial]]:
    """By how much the most accurate of all that cost no more is ahead of a complete trial, and which that is. Those
    below the floor are none, if any is not.
    """
    found = [trial for trial in trials if trial.result.state == "COMPLETE"]
    floor = min(spec.floor, max(map(first_accuracy, found), default=0.0))
    found = [trial for trial in found if first_accuracy(trial) >= floor]
    gaps, most = list[tuple[float, Trial]](), 0.0
    for trial in sorted(found, key=lambda trial: (point(trial)[0] if spec.cost else 0.0, -first_accuracy(trial))):
        most = max(most, first_accuracy(trial))
        gaps.append((most - first_accuracy(trial), trial))
    return gaps


def _wanted(spec: StudySpec, trials: Sequence[Trial]) -> list[tuple[Trial, int]]:
    """All that the finalists are to be trained: each with the number of the repeat."""
    return [(trial, repeat) for trial in chosen(spec, trials) for repeat in range(spec.finalists.repeats)]


def train(spec: StudySpec, trials: Sequence[Trial], journal: Journal, executor: Executor, show: Show) -> list[Trial]:
    """Train what the journal lacks of the finalists' repeats; the trials with these. No timeout of a study holds."""
    wanted, known = _wanted(spec, trials), journal.repeats
    missing = [(trial, repeat) for trial, repeat in wanted if (trial.number, repeat) not in known]
    if missing and isinstance(executor, Pool):
        executor.drop()  # trials that lie beyond the study's end
    futures = {
        (trial.number, repeat): executor.submit(run_trial, repeat_task(spec, trial.number, trial.config, repeat))
        for trial, repeat in missing
    }
    for done, (trial, repeat) in enumerate(wanted, start=1):
        key = trial.number, repeat
        if key in futures:
            result = awaited(futures[key], spec.trial_timeout)
            assert result is not None
            known[key] = replace(result, curve=result.curve[-1:])
            journal.keep_repeat(*key, known[key])
        standing = f"finalists {done}/{len(wanted)}"
        line = f"[{standing}] trial {trial.number}, repeat {repeat}: {_told(spec, known[key])}"
        show(done / len(wanted), standing, line)
    return with_repeats(spec, trials, journal)


def _told(spec: StudySpec, result: Result) -> str:
    return result.reason if result.state == "FAIL" else f"{told(spec.metric)} {result.accuracy:.4f}"


def with_repeats(spec: StudySpec, trials: Sequence[Trial], journal: Journal) -> list[Trial]:
    """The trials, the finalists among them with as many of their repeats as the study asks for and the journal has."""
    found, known = defaultdict[int, list[Result]](list), journal.repeats
    for trial, repeat in _wanted(spec, trials):
        if result := known.get((trial.number, repeat)):
            found[trial.number].append(result)
    return [replace(trial, repeats=tuple(found[trial.number])) for trial in trials]


def finished(spec: StudySpec, trials: Sequence[Trial], journal: Journal) -> bool:
    """Whether nothing is left to train of them."""
    return {(trial.number, repeat) for trial, repeat in _wanted(spec, trials)} <= journal.repeats.keys()
