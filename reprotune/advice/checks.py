"""CHECKS: each reads a run, and says nothing if there is nothing to say."""

from collections.abc import Callable, Iterator, Sequence

from reprotune.advice import course, gain, ranges
from reprotune.advice.run import Advice, Run, Study, read_run
from reprotune.data.stored import StoredDataset
from reprotune.params import Params

Check = Callable[[Run], Iterator[Advice]]


def _each(check: Callable[[Study], Iterator[Advice]]) -> Check:
    return lambda run: (advice for study in run.studies for advice in check(study))


# The most important first.
CHECKS: Sequence[Check] = (
    _each(gain.learned_nothing),
    gain.gain_over_default,
    _each(course.failures),
    _each(course.repeat_failures),
    _each(course.nothing_feasible),
    gain.out_of_balance,
    _each(course.pruned_too_many),
    _each(course.ended_too_early),
    _each(ranges.at_an_end),
    _each(course.pruned_too_early),
    _each(course.overfitted),
    _each(course.timed_out),
    _each(ranges.tried_twice),
    _each(gain.too_few_images),
    _each(course.ended_too_late),
    _each(ranges.without_effect),
    _each(course.pruned_too_few),
)


def advise(params: Params, dataset: StoredDataset) -> list[Advice]:
    """On the results, the most important first. Raises UserError if they are those of other params or data."""
    run = read_run(params, dataset)
    return [advice for check in CHECKS for advice in check(run)]
