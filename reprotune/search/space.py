"""Declared search space → trial.suggest_*.

A space names every hyperparameter that its models can have: what `search_space` in params.yaml does not
mention takes its value from the sections `model` and `training`, which together are the default config.
What a model has once a layer is declared for all of its layers, as `width`, or for one of them, as `width_1`.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

from optuna.trial import BaseTrial

from reprotune.errors import ParamsError
from reprotune.params import Categorical, Declared, FloatRange, IntRange, Params
from reprotune.training.hyperparameters import HYPERPARAMETERS, LEGAL, fault, legal, needed
from reprotune.training.models import MODELS, Config
from reprotune.training.optimizers import OPTIMIZERS

Space = Mapping[str, Declared]
Choose = Callable[[str, Declared], Any]  # a hyperparameter's name and what is declared of it → its value


def defaults(params: Params) -> Space:
    """The sections `model` and `training`, checked."""
    training = params.training.hyperparameters
    space = {**params.model, **training}
    _check(space, lambda name: f"{'training' if name in training else 'model'}.{name}")
    return space


def complete(params: Params, search_space: Space, section: str) -> Space:
    """A study's `search_space` over the defaults, checked; raises ParamsError."""
    _check({**defaults(params), **search_space}, lambda name: f"{section}.search_space.{name}")
    return {**defaults(params), **search_space}


def default_config(params: Params) -> Config:
    return _resolve(defaults(params), lambda name, declared: declared)


def own_config(given: Config, space: Space, default: Space, key: str) -> Config:
    """A config that a person wants tried, as `key` of params.yaml gives it: what that leaves out is what the space
    leaves no choice of, or the default's. Raises ParamsError unless the space has it.
    """
    for name, value in given.items():
        _check_value(name, value, f"{key}.{name}")
    fixed = {name: values(declared)[0] for name, declared in space.items() if len(set(values(declared))) == 1}
    whole = {**default, **fixed, **given}
    for name in needed([whole["model"]], [whole["optimizer"]]):
        if name not in whole:
            raise ParamsError(f"{key}.{name}", None, "is missing, here and in the sections model and training")
    config = _resolve(whole, lambda name, declared: declared)
    for name, value in given.items():
        layers = {other for other in config if re.fullmatch(rf"{name}_\d+", other)}
        if name not in config and layers <= set(whole):
            raise ParamsError(
                f"{key}.{name}", value, f"this config has no such hyperparameter; it has {', '.join(config)}"
            )

    def admitted(name: str, declared: Declared) -> Any:
        if not _admits(declared, config[name]):
            whose = "" if name in given or re.sub(r"_\d+$", "", name) in given else "as in the default config, "
            raise ParamsError(f"{key}.{name}", config[name], f"{whose}outside of the search space: {_told(declared)}")
        return _typed(declared, config[name])

    return _resolve(space, admitted)


def suggest(trial: BaseTrial, space: Space) -> Config:
    """Ask the trial for every hyperparameter of the model and the optimizer that it chooses, and for no other's."""
    return _resolve(space, partial(_suggest, trial))


def contains(space: Space, config: Config) -> bool:
    """Whether a trial of this space can have this config."""

    def admitted(name: str, declared: Declared) -> Any:
        if name not in config or not _admits(declared, config[name]):
            raise LookupError(name)
        return config[name]

    try:
        return _resolve(space, admitted) == dict(config)
    except LookupError:
        return False


def parse(space: Space, cells: Mapping[str, str]) -> Config:
    """The config whose values are written in `cells`, as trials.csv has them."""

    def typed(name: str, declared: Declared) -> Any:
        if isinstance(declared, IntRange | FloatRange):
            return int(cells[name]) if isinstance(declared, IntRange) else float(cells[name])
        return next(value for value in values(declared) if str(value) == cells[name])

    return _resolve(space, typed)


def largest(space: Space) -> Iterator[Config]:
    """For each model, depth and combination of its choices that are words, the config with every number at its highest.

    Each depth: a net that flattens its last images may cost the more the fewer of its layers made them smaller.
    """
    return _extremes(space, _highest)


def smallest(space: Space) -> Iterator[Config]:
    """The same with every number at its lowest, but for the size of a batch: BatchNorm refuses a batch of one pixel."""
    return _extremes(space, lambda name, declared: (max if name == "batch_size" else min)(values(declared)))


def size(space: Space) -> float:
    """How many configs it has; infinite if one of its ranges is continuous."""
    return sum(math.prod(counts) for counts in _counts(space))


def continuous(space: Space) -> str | None:
    """The first of its hyperparameters that has no end of values."""
    return next((name for name, declared in space.items() if _count(declared) == math.inf), None)


def _counts(space: Space) -> Iterator[list[float]]:
    """For each model, depth and optimizer: how many values each hyperparameter has."""
    for model, optimizer in product(values(space["model"]), values(space["optimizer"])):
        layers = MODELS[model].layers
        for depth in _every(space[layers]):
            counts = dict[str, float]()

            def first(name: str, declared: Declared, counts: dict[str, float] = counts) -> Any:
                counts[name] = _count(declared)
                return values(declared)[0]

            _resolve({**space, "model": model, "optimizer": optimizer, layers: depth}, first)
            yield list(counts.values())


def names(space: Space) -> list[str]:
    """Every hyperparameter that a config of this space can have."""
    chosen = ["model", "optimizer"]
    return list(dict.fromkeys(name for config in _with_each(space, chosen, _highest) for name in config))


def _extremes(space: Space, choose: Choose) -> Iterator[Config]:
    for name in values(space["model"]):
        model = MODELS[name]
        words = [own for own in model.per_model if isinstance(values(space[own])[0], str)]
        yield from _with_each({**space, "model": name}, [model.layers, *words], choose)


def _highest(_: str, declared: Declared) -> Any:
    return max(values(declared))


def _with_each(space: Space, chosen: Sequence[str], choose: Choose) -> Iterator[Config]:
    for choices in product(*(_every(space[name]) for name in chosen)):
        fixed = dict(zip(chosen, choices, strict=True))
        yield _resolve({**space, **fixed}, choose)


def _resolve(space: Space, choose: Choose) -> Config:
    """The config that `choose(name, declared)` makes: first what says what else there is."""
    config = {"model": choose("model", space["model"])}
    model = MODELS[config["model"]]
    config |= {name: choose(name, space[name]) for name in (model.layers, *model.per_model)}
    for layer in range(1, config[model.layers] + 1):
        for name in model.per_layer:
            own = f"{name}_{layer}"
            config[own] = choose(own, space.get(own, space[name]))
    config |= {name: choose(name, space[name]) for name in HYPERPARAMETERS}
    return config | {name: choose(name, space[name]) for name in OPTIMIZERS[config["optimizer"]].own}


def _suggest(trial: BaseTrial, name: str, declared: Declared) -> Any:
    match declared:
        case IntRange():
            return trial.suggest_int(name, declared.low, declared.high, log=declared.log, step=declared.step)
        case FloatRange():
            return trial.suggest_float(name, declared.low, declared.high, log=declared.log, step=declared.step)
        case _:  # a fixed value is recorded like any other: a choice of one
            return trial.suggest_categorical(name, values(declared))


def values(declared: Declared) -> tuple[Any, ...]:
    """The choices, the ends of a range (and the integer after its first), or the one fixed value."""
    match declared:
        case IntRange():
            return (declared.low, min(declared.low + declared.step, declared.high), declared.high)
        case FloatRange():
            return (declared.low, declared.high)
        case Categorical():
            return declared.choices
        case _:
            return (declared,)


def _every(declared: Declared) -> Sequence[Any]:
    """The choices, all integers of a range, or the one fixed value."""
    if isinstance(declared, IntRange):
        return range(declared.low, declared.high + 1, declared.step)
    return values(declared)


def _count(declared: Declared) -> float:
    """How many values it has."""
    if isinstance(declared, FloatRange) and declared.low < declared.high:
        return round((declared.high - declared.low) / declared.step) + 1 if declared.step else math.inf
    return len(_every(declared) if isinstance(declared, IntRange) else set(values(declared)))


def _admits(declared: Declared, value: Any) -> bool:
    if isinstance(declared, IntRange | FloatRange):
        in_range = isinstance(value, int | float) and declared.low <= value <= declared.high
        steps = (value - declared.low) / declared.step if in_range and declared.step else 0.0
        return in_range and math.isclose(steps, round(steps), abs_tol=1e-9)
    return value in values(declared)


def _typed(declared: Declared, value: Any) -> Any:
    """An admitted value as the space has it: 1.0 for 1."""
    if isinstance(declared, IntRange | FloatRange):
        return int(value) if isinstance(declared, IntRange) else float(value)
    return next(known for known in values(declared) if known == value)


def _told(declared: Declared) -> str:
    """What is allowed, for a line."""
    if isinstance(declared, IntRange | FloatRange):
        steps = f" in steps of {declared.step}" if declared.step not in (None, 1) else ""
        return f"must be {declared.low} to {declared.high}{steps}"
    return f"must be {' or '.join(map(str, values(declared)))}"


def _check(space: Space, key: Callable[[str], str]) -> None:
    """Raise ParamsError unless every choice and every end of a range is legal, and nothing is missing."""
    for name, declared in space.items():
        if legal(name) is None:
            raise ParamsError(key(name), declared, f"unknown hyperparameter; known: {', '.join(LEGAL)}")
        for value in values(declared):
            _check_value(name, value, key(name))
    for name in _needed(space):
        if name not in space:
            raise ParamsError(key(name), None, "is missing, here and in the sections model and training")


def _check_value(name: str, value: Any, key: str) -> None:
    if legal(name) is None:
        raise ParamsError(key, value, f"unknown hyperparameter; known: {', '.join(LEGAL)}")
    if wrong := fault(name, value):
        raise ParamsError(key, value, wrong)


def _needed(space: Space) -> Iterator[str]:
    """What a space must name."""
    yield from ("model", *HYPERPARAMETERS)  # `_check` stops at the first that is missing
    yield from needed(values(space["model"]), values(space["optimizer"]))
