"""One trial, as a worker runs it: a pure function of its task. It writes nothing."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from reprotune.cost import Cost, measure
from reprotune.curve import Epoch
from reprotune.datasets import open_dataset
from reprotune.errors import line
from reprotune.models import Config
from reprotune.pruners import Judge, Told
from reprotune.training import learning_curve, new_model

State = Literal["COMPLETE", "PRUNED", "FAIL"]


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
    told: Told


@dataclass(frozen=True)
class Result:
    """How a trial ended. `curve`: a point an epoch; `cost` is None if the model could not be built."""

    state: State
    curve: tuple[Epoch, ...]
    cost: Cost | None
    reason: str = ""  # why it was pruned or failed
    seconds: float | None = None
    attrs: dict[str, Any] = field(default_factory=dict)  # the pruner's notes

    @property
    def accuracy(self) -> float | None:
        """On valid, after the last epoch."""
        return self.curve[-1].valid_accuracy if self.curve else None

    def value(self, objective: str) -> float | None:
        """Of accuracy, flops or parameters; None if the trial failed before it had one."""
        return self.accuracy if objective == "accuracy" else getattr(self.cost, objective, None)


def run_trial(task: Task) -> Result:
    """Train the config and judge it after every epoch. An error makes a FAIL with its reason, never an exception."""
    started = time.perf_counter()
    curve: list[Epoch] = []
    cost = None
    state: State = "COMPLETE"
    reason = ""
    judge = None
    try:
        dataset = open_dataset(task.dataset, task.dataset_digest)
        train, valid = (dataset.load(split, task.device) for split in ("train", "valid"))
        model = new_model(task.config, dataset.inputs, task.seed)
        cost = measure(model, dataset.shape)
        paid = getattr(cost, task.minimize) if task.minimize else None
        judge = Judge(task.pruner, task.told.frozen(), task.number, paid, task.config["epochs"])
        for epoch, point in enumerate(learning_curve(model, task.config, train, valid, task.seed), start=1):
            curve.append(point)
            # A trial that has reached its last epoch is complete: nothing would be saved.
            if judge.should_prune(epoch, point.valid_accuracy) and epoch < task.config["epochs"]:
                state, reason = "PRUNED", f"{task.pruner} after epoch {epoch}"
                break
    except Exception as error:
        state, reason = "FAIL", line(f"{type(error).__name__}: {error}")
    return Result(state, tuple(curve), cost, reason, time.perf_counter() - started, judge.attrs if judge else {})
