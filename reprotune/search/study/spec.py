"""What a study is: all that its trials depend on, and the digest of that."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from reprotune.arithmetic import kernels
from reprotune.artifacts import digest, file_digest
from reprotune.data.images import Inputs
from reprotune.data.metric import effective_images, unless_default
from reprotune.data.stored import StoredDataset
from reprotune.errors import PARAMS, ParamsError, UserError
from reprotune.params import Device, Finalists, Metric, MultiObjective, Params, Rung, StudyParams
from reprotune.search import pruners
from reprotune.search.journal import Direction
from reprotune.search.pareto import Point
from reprotune.search.pruners import ONE_OBJECTIVE, SEVERAL_OBJECTIVES
from reprotune.search.samplers import FINITE_ONLY, PROPOSES_BY_TORCH, SAMPLERS, SINGLE_OBJECTIVE_ONLY
from reprotune.search.space import (
    Space,
    complete,
    contains,
    continuous,
    default_config,
    defaults,
    largest,
    own_config,
    smallest,
)
from reprotune.search.trial import Result
from reprotune.training import cost
from reprotune.training.cost import Caps, Cost, cost_of
from reprotune.training.models import Config, meta_model

if TYPE_CHECKING:
    from reprotune.execution.pool import Pool

Objective = Literal["accuracy", "flops", "parameters"]
DIRECTIONS: Mapping[Objective, Direction] = {"accuracy": "maximize", "flops": "minimize", "parameters": "minimize"}

# The files whose change makes another study.
_DECISIVE = (
    *(f"arithmetic/{name}.py" for name in ("dropout", "floating_point", "layers", "optimizers", "rmsprop")),
    *(f"training/{name}.py" for name in ("augmentation", "batches", "cost", "fit", "hyperparameters", "models")),
    "training/optimizers.py",
    *(f"search/{name}.py" for name in ("history", "pruners", "samplers", "space", "spec", "study", "trial")),
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

    @property
    def images(self) -> float:
        """That validate a trial: an accuracy p has the standard error √(p (1 − p) / images)."""
        return effective_images(self.dataset.class_sizes("valid"), self.metric)

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
    code = [file_digest(Path(__file__).parents[1] / name) for name in _DECISIVE]
    return digest([code, kernels.environment(device)])


def prepare(params: Params, dataset: StoredDataset, pool: "Pool", configs: Iterable[Config] = ()) -> None:
    """Check the studies' models, and learn what else takes torch: the kernels' digest, what these configs cost and
    what the second study's largest do. A worker does it, which has imported torch: so this process need not.

    Raises UserError as `check_models`.
    """
    work = partial(_prepared, params, dataset.inputs, list(configs))
    try:
        digest, costs = pool.submit(work).result() if pool.here else work()
    except BrokenExecutor:
        digest, costs = work()
    kernels.know(digest)
    cost.know(costs)


def _prepared(params: Params, inputs: Inputs, configs: Sequence[Config]) -> tuple[str, Mapping[Any, Cost]]:
    check_models(params, inputs)
    second = complete(params, params.multi_objective.search_space, "multi_objective")
    return kernels.digest(), cost.known([*configs, *largest(second)], inputs)


def check_models(params: Params, inputs: Inputs) -> None:
    """Raises UserError if the default or a model of a search space cannot be built for images of this shape."""
    for name in ("single_objective", "multi_objective"):
        space = complete(params, getattr(params, name).search_space, name)
        for config in (default_config(params), *largest(space)):
            try:
                meta_model(config, inputs)
            except ValueError as error:
                key = f"{PARAMS}: {name}.search_space, with the sections model and training"
                raise UserError(f"{key}: {error}") from None


def from_params(params: Params, name: str, dataset: StoredDataset) -> StudySpec:
    """The study that the section `name` of params.yaml describes; a floor of `default` is set once it is known.

    Raises UserError for caps that nothing can keep. `prepare` has seen to it that its models can be built.
    """
    section: StudyParams = getattr(params, name)
    space = complete(params, section.search_space, name)
    pruner, settings = chosen_pruner(section, name)
    first, caps = own_configs(params, name), Caps(section.max_flops, section.max_parameters)
    if caps.given:
        check_models(params, dataset.inputs)
        _check_caps(caps, name, space, first, dataset)
    floor = section.min_accuracy if isinstance(section, MultiObjective) else None
    return StudySpec(
        name=name,
        objectives=(section.minimize, "accuracy") if isinstance(section, MultiObjective) else ("accuracy",),
        space=space,
        sampler=section.sampler,
        pruner=pruner,
        pruner_settings=settings,
        rung=section.rung,
        seed=params.seed,
        window=params.execution.window,
        dataset=dataset,
        device=resolve_device(params.training.device),
        first=first,
        adopt=section.adopt,
        caps=caps,
        min_accuracy=None if floor == "default" else floor,
        n_trials=section.n_trials,
        timeout=section.timeout,
        max_epochs=section.max_epochs,
        patience=section.patience,
        finalists=section.finalists,
        trial_timeout=params.execution.trial_timeout,
        metric=params.data.metric,
    )


def _check_caps(caps: Caps, name: str, space: Space, first: Sequence[Config], dataset: StoredDataset) -> None:
    for cap, most in caps.given.items():
        cost = cap.removeprefix("max_")
        least = min(getattr(cost_of(config, dataset.inputs), cost) for config in smallest(space))
        if most < least:
            wrong = f"must be {least} or more: the smallest model of {name}.search_space has so many {cost}"
            raise ParamsError(f"{name}.{cap}", most, wrong)
    for number, config in enumerate(first):
        if broken := caps.broken(cost_of(config, dataset.inputs)):
            raise ParamsError(f"{name}.first.{number}", dict(config), broken)


def resolve_device(chosen: Device) -> str:
    """`auto` is cuda where there is a GPU, else cpu. Raises ParamsError for cuda where there is none."""
    if chosen == "cpu":
        return chosen
    from torch import cuda

    if cuda.is_available():
        return "cuda"
    if chosen == "cuda":
        raise ParamsError("training.device", chosen, "no CUDA GPU is found here; must be cpu or auto")
    return "cpu"


def own_configs(params: Params, name: str) -> tuple[Config, ...]:
    """Those that a section wants tried first, each of them whole. Raises ParamsError."""
    section: StudyParams = getattr(params, name)
    space, default = complete(params, section.search_space, name), defaults(params)
    given = enumerate(section.first or ())
    return tuple(own_config(config, space, default, f"{name}.first.{number}") for number, config in given)


def chosen_pruner(section: StudyParams, name: str) -> tuple[str, Mapping[str, Any]]:
    known = SEVERAL_OBJECTIVES if isinstance(section, MultiObjective) else ONE_OBJECTIVE
    return pruners.chosen(section.pruner, known, f"{name}.pruner")


def multi_objective(
    params: Params, dataset: StoredDataset, best: Config, default_accuracy: float | None = None
) -> StudySpec:
    """Study 2. After the configs of its section's `first` it tries study 1's best, unless that is one of them, lies
    outside of the search space or is above a cap. After: so that these have the same numbers, whatever study 1 found.

    default_accuracy: what the untuned default config reaches on valid, if the floor is `default`.
    """
    declared = from_params(params, "multi_objective", dataset)
    if params.multi_objective.min_accuracy == "default":
        declared = replace(declared, min_accuracy=default_accuracy)
    new = best not in declared.first and contains(declared.space, best) and not declared.too_large(best)
    return replace(declared, first=(*declared.first, best)) if new else declared


def default_study(params: Params, dataset: StoredDataset) -> StudySpec:
    """Of one trial: the untuned default config."""
    declared = from_params(params, "single_objective", dataset)
    unpruned: dict[str, Any] = {"pruner": "none", "pruner_settings": {}, "rung": None}
    alone = {"space": defaults(params), "sampler": "random", **unpruned, "first": (), "adopt": False}
    ends = {"n_trials": 1, "timeout": None, "max_epochs": None, "patience": None}
    return replace(declared, name="default", caps=Caps(), **alone, **ends)  # type: ignore[arg-type]


def check_params(params: Params) -> None:
    """Raise ParamsError for what the schema of params.yaml cannot know, in any section of it."""
    for name, section in (("single_objective", params.single_objective), ("multi_objective", params.multi_objective)):
        space = complete(params, section.search_space, name)
        several = isinstance(section, MultiObjective)
        samplers = [s for s in SAMPLERS if not (several and s in SINGLE_OBJECTIVE_ONLY)]
        if section.sampler not in samplers:
            raise ParamsError(f"{name}.sampler", section.sampler, f"must be one of {', '.join(samplers)}")
        if section.sampler in FINITE_ONLY and (endless := continuous(space)):
            raise ParamsError(f"{name}.search_space.{endless}", space[endless], f"needs a step for {section.sampler}")
        chosen_pruner(section, name)
        own_configs(params, name)


def seeds(seed: int, name: str, number: int, again: int | None = None) -> tuple[int, int]:
    """(of the sampler, of the training) for one trial: independent streams for every seed, study and number.

    again: the attempt to propose it after the first, from 1; or the repeat of its training, from 0.
    """
    stream = np.random.SeedSequence([seed, number, *name.encode()], spawn_key=() if again is None else (again,))
    sampler, training = stream.generate_state(2)
    return int(sampler), int(training)
