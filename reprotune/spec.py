"""What a study is: all that its trials depend on, and the digest of that."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch

from reprotune import bits
from reprotune.artifacts import digest, file_digest
from reprotune.cost import measure
from reprotune.datasets import StoredDataset
from reprotune.errors import Refused
from reprotune.journal import Direction
from reprotune.models import Config, outline
from reprotune.params import PATH, Device, MultiObjective, Params, ParamsError, StudyParams
from reprotune.pareto import Point
from reprotune.pruners import ONE_OBJECTIVE, SEVERAL_OBJECTIVES
from reprotune.samplers import SAMPLERS, SINGLE_OBJECTIVE_ONLY
from reprotune.search_space import Space, complete, contains, default_config, largest
from reprotune.trial import Result

Objective = Literal["accuracy", "flops", "parameters"]
DIRECTIONS: Mapping[Objective, Direction] = {"accuracy": "maximize", "flops": "minimize", "parameters": "minimize"}

# The modules whose change makes another study.
_DECISIVE = (
    *("augmentation", "cost", "datasets", "models", "pareto", "pruners", "samplers"),
    *("search_space", "spec", "study", "training", "trial"),
)


@dataclass(frozen=True)
class Spec:
    """A study: all that its trials depend on, and how long it may go on."""

    name: str
    objectives: tuple[Objective, ...]
    space: Space
    sampler: str
    pruner: str
    seed: int
    window: int
    dataset: StoredDataset
    device: str  # cpu or cuda
    first: Config | None  # the config of trial 0, if it is given
    n_trials: int  # in all, also over resumes; so is the timeout
    timeout: float | None  # seconds
    trial_timeout: float | None  # seconds; a trial that takes longer fails

    @property
    def cost(self) -> Objective | None:
        """What a multi-objective study minimises."""
        return self.objectives[0] if len(self.objectives) > 1 else None

    @property
    def directions(self) -> list[Direction]:
        return [DIRECTIONS[objective] for objective in self.objectives]

    def values(self, result: Result) -> list[float] | None:
        """The objectives' values; a pruned trial of a single-objective study has its last accuracy."""
        if result.state == "COMPLETE" or (result.state == "PRUNED" and self.cost is None):
            return [cast("float", result.value(objective)) for objective in self.objectives]
        return None

    @cached_property
    def reference_point(self) -> Point:
        """The hypervolume's, of a multi-objective study: what the space's largest model costs, and no accuracy."""
        inputs = self.dataset.inputs
        costs = (measure(outline(config, inputs), inputs.shape) for config in largest(self.space))
        return (float(max(getattr(cost, self.objectives[0]) for cost in costs)), 0.0)

    @property
    def declared(self) -> str:
        """The digest of what params.yaml and the data say of the trials."""
        space = {name: repr(declared) for name, declared in self.space.items()}
        chosen = [self.name, self.objectives, space, self.sampler, self.pruner, self.seed, self.window, self.first]
        return digest([chosen, self.dataset.digest])

    @cached_property
    def identity(self) -> str:
        """The digest of what determines the trials; two studies of one identity have the same trials."""
        return digest([self.declared, made_by(self.device)])

    @property
    def journal(self) -> Path:
        return Path("studies") / f"{self.name}-{self.identity[:12]}.log"


def made_by(device: str) -> str:
    """The digest of the code and the arithmetic that decide the bits of a training."""
    code = [file_digest(Path(__file__).with_name(f"{module}.py")) for module in _DECISIVE]
    return digest([code, bits.arithmetic(device)])


def of(params: Params, name: str, dataset: StoredDataset) -> Spec:
    """The study that the section `name` of params.yaml describes. Raises Refused for what cannot be built."""
    section: StudyParams = getattr(params, name)
    space = complete(params, section.search_space, name)
    for config in (default_config(params), *largest(space)):
        try:
            outline(config, dataset.inputs)
        except ValueError as error:
            raise Refused(f"{PATH}: {name}.search_space, with the sections model and training: {error}") from None
    return Spec(
        name=name,
        objectives=(section.minimize, "accuracy") if isinstance(section, MultiObjective) else ("accuracy",),
        space=space,
        sampler=section.sampler,
        pruner=section.pruner,
        seed=params.seed,
        window=params.execution.window,
        dataset=dataset,
        device=resolve_device(params.training.device),
        first=None,
        n_trials=section.n_trials,
        timeout=section.timeout,
        trial_timeout=params.execution.trial_timeout,
    )


def resolve_device(chosen: Device) -> str:
    """`auto` is cuda where there is a GPU, else cpu. Raises ParamsError for cuda where there is none."""
    if chosen == "cpu":
        return chosen
    if torch.cuda.is_available():
        return "cuda"
    if chosen == "cuda":
        raise ParamsError("training.device", chosen, "no CUDA GPU is found here; must be cpu or auto")
    return "cpu"


def multi_objective(params: Params, dataset: StoredDataset, best: Config) -> Spec:
    """Study 2. Its first trial is study 1's best config, if that lies in the search space; else `first` is None."""
    declared = of(params, "multi_objective", dataset)
    return replace(declared, first=best) if contains(declared.space, best) else declared


def check(params: Params) -> None:
    """Raise ParamsError for what the schema of params.yaml cannot know, in any section of it."""
    for name, section in (("single_objective", params.single_objective), ("multi_objective", params.multi_objective)):
        complete(params, section.search_space, name)
        several = isinstance(section, MultiObjective)
        samplers = [s for s in SAMPLERS if not (several and s in SINGLE_OBJECTIVE_ONLY)]
        pruners = SEVERAL_OBJECTIVES if several else ONE_OBJECTIVE
        for key, value, known in (("sampler", section.sampler, samplers), ("pruner", section.pruner, pruners)):
            if value not in known:
                raise ParamsError(f"{name}.{key}", value, f"must be one of {', '.join(known)}")


def seeds(seed: int, number: int) -> tuple[int, int]:
    """(of the sampler, of the training) for one trial: independent streams for every seed and number."""
    sampler, training = np.random.SeedSequence([seed, number]).generate_state(2)
    return int(sampler), int(training)
