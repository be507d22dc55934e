"""Train recorded trials again, each alone, and compare every number of them bit for bit."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor

from reprotune import bits, records
from reprotune.artifacts import read_json
from reprotune.curve import Epoch
from reprotune.pruners import Memory
from reprotune.session import folder
from reprotune.spec import Spec
from reprotune.study import as_past, task
from reprotune.trial import Result, run_trial

Curve = Sequence[Epoch]


def differences(
    spec: Spec, numbers: Sequence[int], tracked: Mapping[int, Curve], executor: Executor
) -> Iterator[tuple[int, str]]:
    """(trial number, how the recorded trial differs from the one trained again: empty if it does not).

    tracked: trial number → the curve that MLflow holds, for those it has.
    """
    trials = records.read(folder(spec), spec)
    recorded = records.with_attrs(spec, trials)
    memory = Memory()
    for result in recorded:
        memory.append(as_past(spec, result))
    futures = {n: executor.submit(run_trial, task(spec, n, trials[n].config, memory)) for n in numbers}
    for number, future in futures.items():
        found = future.result()
        line = _difference(found, recorded[number])
        if not line and number in tracked and tuple(tracked[number]) != found.curve:
            line = f"MLflow has another curve, from epoch {_first_difference(tracked[number], found.curve)}"
        yield number, line


def _difference(found: Result, recorded: Result) -> str:
    if found.curve != recorded.curve:
        return f"another curve, from epoch {_first_difference(recorded.curve, found.curve)}"
    for name in ("cost", "state", "reason"):
        if getattr(found, name) != getattr(recorded, name):
            return f"{name} is {getattr(found, name)}, recorded is {getattr(recorded, name)}"
    return ""


def _first_difference(one: Curve, other: Curve) -> int:
    """The first epoch, from 1, at which two curves differ; the shorter one's end, if it is the other's beginning."""
    pairs = enumerate(zip(one, other, strict=False), start=1)
    return next((epoch for epoch, (a, b) in pairs if a != b), min(len(one), len(other)) + 1)


def environment(spec: Spec) -> str:
    """How this environment differs from the one in which the results were made."""
    recorded, here = read_json(folder(spec) / "study.json"), bits.arithmetic(spec.device)
    changed = [f"{name} {recorded[name]} → {value}" for name, value in here.items() if recorded.get(name) != value]
    if not changed and recorded["identity"] != spec.identity:
        changed.append("the code that decides results")
    return "; ".join(changed) or "in nothing that is recorded"
