"""One trial, as a worker runs it: a pure function of its task. It writes nothing."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from reprotune.data.stored import open_dataset
from reprotune.errors import UserError, is_shortage, one_line
from reprotune.params import Metric
from reprotune.search.history import HistorySnapshot
from reprotune.search.pruners import PRUNERS, TrialPruner
from reprotune.training.cost import Cost, measure
from reprotune.training.learning_curve import Epoch
from reprotune.training.models import Config

State = Literal["COMPLETE", "PRUNED", "FAIL"]
_AT_RUNG = "rung after epoch "


@dataclass(frozen=True)
class Task:
    """All that the result depends on."""

    number: int
    config: Config
    seed: int
    dataset: Path
    dataset_digest: str
    device: str
    minimize: str | None  # the cost that is an objective: flops, parameters
    pruner: str
    pruner_settings: Mapping[str, Any]
    history: HistorySnapshot
    until: int | None = None  # the epoch of a rung, at which it ends for now
    reached: "Result | None" = None  # there, when it goes on
    metric: Metric = "accuracy"


@dataclass(frozen=True)
class Result:
    """How a trial ended. `curve`: a point an epoch; `cost` is None if the model could not be built."""

    state: State
    curve: tuple[Epoch, ...]
    cost: Cost | None
    reason: str = ""  # why it was pruned or failed
    seconds: float | None = None
    attrs: dict[str, Any] = field(default_factory=dict)  # the pruner's notes
    checkpoint: bytes | None = field(default=None, repr=False)  # of one that has still to be asked at its rung
    by_machine: bool = False  # it failed for want of memory, a file, a worker or time, not by its config

    @property
    def accuracy(self) -> float | None:
        """On valid, after the last epoch, by the study's metric."""
        return self.curve[-1].valid_accuracy if self.curve else None

    @property
    def at_rung(self) -> bool:
        """Whether its rung ended it, or has still to be asked."""
        return self.state == "PRUNED" and self.reason.startswith(_AT_RUNG)

    @property
    def untrained(self) -> bool:
        """Whether its config was above a cap, and so was never trained."""
        return self.state == "PRUNED" and not self.curve

    def value(self, objective: str) -> float | None:
        """Of accuracy, flops or parameters; None if the trial failed before it had one."""
        return self.accuracy if objective == "accuracy" else getattr(self.cost, objective, None)


def run_trial(task: Task) -> Result:
    """Train the config; ask the pruner after each epoch.

    An error makes a FAIL with its reason. Raises only what is not the config's doing: UserError, and a shortage.
    """
    from reprotune.training.fit import Training, new_model  # torch, which a coordinator does not need

    started = time.perf_counter()
    curve: list[Epoch] = []
    cost = None
    state: State = "COMPLETE"
    reason = ""
    pruner = checkpoint = None
    try:
        dataset = open_dataset(task.dataset, task.dataset_digest)
        train, valid = (dataset.load(split, task.device) for split in ("train", "valid"))
        model = new_model(task.config, dataset.inputs, task.seed)
        cost = measure(model, dataset.shape)
        minimized = getattr(cost, task.minimize) if task.minimize else None
        made = PRUNERS[task.pruner](**task.pruner_settings)
        known, epochs = task.history.frozen(), task.config["epochs"]
        pruner = TrialPruner(made, known, task.number, minimized, epochs)
        training = Training(model, task.config, train, task.seed)
        before: tuple[Epoch, ...] = ()
        if task.reached and task.reached.checkpoint:  # else from its start, to the same bits
            training.resume(task.reached.checkpoint)
            before = task.reached.curve
        for epoch, point in enumerate(chain(before, training.curve(valid, task.metric)), start=1):
            curve.append(point)
            # A trial that has reached its last epoch is complete: nothing would be saved.
            if pruner.should_prune(epoch, point.valid_accuracy) and epoch < epochs:
                state, reason = "PRUNED", f"{task.pruner} after epoch {epoch}"
                break
            if epoch == task.until and epoch < epochs:
                state, reason, checkpoint = "PRUNED", f"{_AT_RUNG}{epoch}", training.checkpoint()
                break
    except Exception as error:
        if isinstance(error, UserError) or is_shortage(error):
            raise
        state, reason = "FAIL", one_line(f"{type(error).__name__}: {error}")
    seconds, attrs = time.perf_counter() - started, pruner.attrs if pruner else {}
    return Result(state, tuple(curve), cost, reason, seconds, attrs, checkpoint)


def unless_late(
    work: Callable[[Task], Result], clock: Callable[[], float], deadline: float | None, task: Task
) -> Result | None:
    """The task's result; None, and nothing is trained, if the deadline (seconds, by this clock) has passed."""
    return None if deadline is not None and clock() >= deadline else work(task)
