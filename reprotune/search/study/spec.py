"""What a study is: all that its trials depend on, and the digest of that."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from reprotune.arithmetic import kernels
from reprotune.artifacts import digest, file_digest
from reprotune.data.metric import effective_images, unless_default
from reprotune.data.stored import StoredDataset
from reprotune.params import Finalists, Metric, Rung
from reprotune.search.pareto import Point
from reprotune.search.samplers import PROPOSES_BY_TORCH
from reprotune.search.space import Space, largest
from reprotune.search.study.journal import Direction
from reprotune.search.trial import Result
from reprotune.training.cost import Caps, cost_of
from reprotune.training.models import Config

Objective = Literal["accuracy", "flops", "parameters"]
DIRECTIONS: Mapping[Objective, Direction] = {"accuracy": "maximize", "flops": "minimize", "parameters": "minimize"}

_LIBRARY = Path(__file__).parents[2]
# The files whose change makes another study. Of search/study/, `declaration` and `preparation` decide nothing that is
# not in the digest themselves; `stopping` decides how many trials there are, and `journal` keeps what was decided.
_DECISIVE = (
    *(f"arithmetic/{name}.py" for name in ("dropout", "floating_point", "layers", "optimizers", "rmsprop")),
    *(f"training/{name}.py" for name in ("augmentation", "batches", "cost", "fit", "hyperparameters", "models")),
    "training/optimizers.py",
    *(f"search/{name}.py" for name in ("history", "pruners", "samplers", "space", "trial")),
    *(f"search/study/{name}.py" for name in ("proposals", "seeds", "spec", "tasks", "trials", "window")),
    "data/metric.py",
    "data/stored.py",
)


@dataclass(frozen=True)
class StudySpec:
    """A study: all that its trials depend on, and how long it may go on."""

    name: str
    objectives: tuple[Objective, ...]
    space: Space
    sampler: str
    pruner: str
    pruner_settings: Mapping[str, Any]  # by Optuna's names; what is not set is as Optuna has it
    rung: Rung | None  # up to which every trial is trained, before it is judged beside those in flight
    seed: int
    window: int
    dataset: StoredDataset
    device: str  # cpu or cuda
    first: tuple[Config, ...]  # the configs that are tried first, as far as they are given
    adopt: bool
    caps: Caps
    min_accuracy: float | None  # the floor of a multi-objective study: below it, nothing is feasible
    n_trials: int  # in all, also over resumes; so are the other three
    timeout: float | None  # seconds
    max_epochs: int | None
    patience: int | None  # trials that may bring nothing (stopping.Stopping)
    finalists: Finalists  # the best trials, trained again after the last
    trial_timeout: float | None  # seconds; a trial that takes longer fails
    adopted: tuple[tuple[Config, Result], ...] = ()  # its trials 0, 1, …: those of another study that lie in its space
    metric: Metric = "accuracy"  # what the objective of this name is
    known_reference: Point | None = field(default=None, compare=False)  # where results have it: to count it takes torch

    @property
    def cost(self) -> Objective | None:
        """What a multi-objective study minimises."""
        return self.objectives[0] if len(self.objectives) > 1 else None

    @property
    def directions(self) -> list[Direction]:
        return [DIRECTIONS[objective] for objective in self.objectives]

    def values(self, result: Result) -> list[float] | None:
        """The objectives' values; a pruned trial of a single-objective study has its last accuracy."""
        if result.state == "COMPLETE" or (result.state == "PRUNED" and result.curve and self.cost is None):
            return [cast("float", result.value(objective)) for objective in self.objectives]
        return None

    @cached_property
    def images(self) -> float:
        """That validate a trial, as far as they count (data.metric.effective_images)."""
        return effective_images(self.dataset.class_sizes("valid"), self.metric)

    def standard_error(self, accuracy: float) -> float:
        """Of an accuracy p on the n images that validate a trial: √(p (1 − p) / n)."""
        return math.sqrt(accuracy * (1 - accuracy) / self.images)

    @property
    def floor(self) -> float:
        return self.min_accuracy or 0.0

    def feasible(self, result: Result) -> bool:
        """Whether the trial is complete, and not below the floor. What is above a cap was never trained."""
        accuracy = result.accuracy if result.state == "COMPLETE" else None
        return accuracy is not None and accuracy >= self.floor

    def violations(self, result: Result) -> dict[str, float]:
        """What a sampler is told of the limits: above 0 where one is broken. Only a complete trial is below the floor:
        what a pruned one would have reached is not known.
        """
        above = self.caps.excess(result.cost) if result.cost else {}
        if self.min_accuracy is None or result.state != "COMPLETE":
            return above
        return above | {"min_accuracy": self.min_accuracy - cast("float", result.accuracy)}

    def too_large(self, config: Config) -> Result | None:
        """How a trial above a cap ends, of which nothing is trained; None if it is not above one."""
        if not self.caps.given:
            return None
        found = cost_of(config, self.dataset.inputs)
        reason = self.caps.broken(found)
        return Result("PRUNED", (), found, reason) if reason else None

    @cached_property
    def reference_point(self) -> Point:
        """The hypervolume's, of a multi-objective study: the most that a model of the space may cost, and the floor."""
        if self.known_reference:
            return self.known_reference
        costs = (getattr(cost_of(config, self.dataset.inputs), self.objectives[0]) for config in largest(self.space))
        most = min(filter(None, (max(costs), self.caps.of(self.objectives[0]))))
        return (float(most), self.floor)

    @property
    def limits(self) -> dict[str, float]:
        """Those that are given, by the names of their keys."""
        return self.caps.given | ({} if self.min_accuracy is None else {"min_accuracy": self.min_accuracy})

    @property
    def declared(self) -> str:
        """The digest of what params.yaml and the data say of the trials."""
        space = {name: repr(declared) for name, declared in self.space.items()}
        pruner = {"name": self.pruner, **self.pruner_settings}
        if self.rung:
            pruner["rung"] = self.rung.model_dump()
        chosen = [self.name, self.objectives, space, self.sampler, pruner, self.seed, self.window, self.first]
        chosen += [self.limits] if self.limits else []
        chosen += [[(c, r.state, r.curve, r.cost) for c, r in self.adopted]] if self.adopted else []
        return digest([chosen, self.dataset.digest, *unless_default(self.metric).values()])

    @cached_property
    def identity(self) -> str:
        """The digest of what determines the trials; two studies of one identity have the same trials."""
        return digest([self.declared, made_by(self.device), self.environment])

    @property
    def environment(self) -> dict[str, str]:
        """What computes it: where this differs, other bits are to be expected."""
        own = {"kernels_float64": kernels.digest_of_float64()} if self.sampler in PROPOSES_BY_TORCH else {}
        return kernels.environment(self.device) | own

    @property
    def folder(self) -> Path:
        """Where its result files are."""
        return Path("results") / self.name

    @property
    def journal(self) -> Path:
        return Path("studies") / f"{self.name}-{self.identity[:12]}.log"


def made_by(device: str) -> str:
    """The digest of the code and the arithmetic that decide the bits of a training."""
    code = [file_digest(_LIBRARY / name) for name in _DECISIVE]
    return digest([code, kernels.environment(device)])
