"""A section of params.yaml → the study that it declares, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from reprotune.data.stored import StoredDataset
from reprotune.errors import ParamsError
from reprotune.params import MultiObjective, Params, StudyParams
from reprotune.search import pruners
from reprotune.search.pruners import ONE_OBJECTIVE, SEVERAL_OBJECTIVES
from reprotune.search.samplers import FINITE_ONLY, SAMPLERS, SINGLE_OBJECTIVE_ONLY
from reprotune.search.space import Space, complete, contains, continuous, defaults, own_config, smallest
from reprotune.search.study.preparation import check_device, check_models, resolve_device
from reprotune.search.study.spec import StudySpec
from reprotune.training.cost import Caps, cost_of
from reprotune.training.models import Config


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
    """Before anything is trained: raise ParamsError for what the schema of params.yaml cannot know, in any section."""
    check_device(params.training.device)
    for name, section in (("single_objective", params.single_objective), ("multi_objective", params.multi_objective)):
        space = complete(params, section.search_space, name)
        several = isinstance(section, MultiObjective)
        samplers = [s for s in SAMPLERS if not (several and s in SINGLE_OBJECTIVE_ONLY)]
        if section.sampler not in samplers:
            raise ParamsError(f"{name}.sampler", section.sampler, f"must be one of {', '.join(samplers)}")
        if section.sampler in FINITE_ONLY and (endless := continuous(space)):
            needed = f"needs a step for {section.sampler}, or choices"
            raise ParamsError(f"{name}.search_space.{endless}", space[endless], needed)
        chosen_pruner(section, name)
        own_configs(params, name)
