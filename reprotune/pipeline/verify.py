"""Train recorded trials again, each alone, and compare every number of them bit for bit."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor

from reprotune.arithmetic.dispatch import UNSET
from reprotune.artifacts import read_json
from reprotune.results import read
from reprotune.search.history import History
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.tasks import awaited, ends_at, past_trial, rung_point, task
from reprotune.search.trial import Result, run_trial
from reprotune.training.learning_curve import Epoch

Curve = Sequence[Epoch]


def differences(
    spec: StudySpec, numbers: Sequence[int], tracked: Mapping[int, Curve], executor: Executor
) -> Iterator[tuple[int, str]]:
    """(trial number, how the recorded trial differs from the one trained again: empty if it does not).

    tracked: trial number → the curve that MLflow holds, for those it has.
    """
    trials = read.read_trials(spec.folder, spec)
    recorded = read.with_attrs(spec, trials)
    history = History()
    for result in recorded:
        history.append(past_trial(spec, result))
    points = [rung_point(spec, result) for result in recorded]
    adopted = {n: result for n, (_, result) in enumerate(spec.adopted)}
    known = {n: adopted.get(n) or spec.too_large(trials[n].config) for n in numbers}
    futures = {
        n: executor.submit(run_trial, task(spec, n, trials[n].config, history, ends_at(spec, points[: n + 1])))
        for n in numbers
        if not known[n]
    }
    for number in numbers:
        found = known[number] or awaited(futures[number], spec.trial_timeout)
        assert found  # there is no deadline
        line = _difference(found, recorded[number])
        if not line and number in tracked and tuple(tracked[number]) != found.curve:
            line = f"MLflow has a different curve from epoch {_first_difference(tracked[number], found.curve)}"
        yield number, line


def _difference(found: Result, recorded: Result) -> str:
    if found.state != recorded.state == "FAIL":
        return f"is {found.state}, recorded is FAIL, {recorded.reason}; `make retry` forgets what the machine caused"
    if found.curve != recorded.curve:
        return f"a different curve from epoch {_first_difference(recorded.curve, found.curve)}"
    for name in ("cost", "state", "reason"):
        if getattr(found, name) != getattr(recorded, name):
            return f"{name} is {getattr(found, name)}, recorded is {getattr(recorded, name)}"
    return ""


def _first_difference(one: Curve, other: Curve) -> int:
    """The first epoch, from 1, at which two curves differ; the shorter one's end, if it is the other's beginning."""
    pairs = enumerate(zip(one, other, strict=False), start=1)
    return next((epoch for epoch, (a, b) in pairs if a != b), min(len(one), len(other)) + 1)


def environment(spec: StudySpec) -> str:
    """How this environment differs from the one in which the results were made."""
    recorded, here = read_json(spec.folder / "study.json"), spec.environment
    names = [*here, *(name for name in UNSET if name in recorded.keys() - here.keys())]
    values = {name: (recorded.get(name, "unset"), here.get(name, "unset")) for name in names}
    changed = [f"{name} {before} → {now}" for name, (before, now) in values.items() if before != now]
    if not changed and recorded["identity"] != spec.identity:
        changed.append("the code that decides the results")
    return "; ".join(changed) or "in nothing that was recorded"
