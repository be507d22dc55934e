"""What a worker is given for a trial, what it gives back, and what of that the tasks of later trials depend on."""

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Future
from dataclasses import replace
from typing import cast

from reprotune.search.history import History, HistorySnapshot, PastTrial
from reprotune.search.pareto import Point
from reprotune.search.pruners import goes_on
from reprotune.search.study.seeds import seeds
from reprotune.search.study.spec import StudySpec
from reprotune.search.trial import Result, Task
from reprotune.training.models import Config


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


def awaited(future: Future[Result] | Future[Result | None], trial_timeout: float | None) -> Result | None:
    """What a worker gave back, or the FAIL that the machine made of it; None if it came too late to begin."""
    try:
        return future.result(trial_timeout)
    except TimeoutError:
        reason = f"TimeoutError: took longer than execution.trial_timeout = {trial_timeout} s"
    except BrokenExecutor as error:  # the machine let it down whenever it ran
        reason = f"{type(error).__name__}: {error}"
    return Result("FAIL", (), None, reason, by_machine=True)
