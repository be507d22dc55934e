"""SAMPLERS: how the next config is proposed. A new sampler is made for every ask, so that none has a state to save."""

import warnings
from collections.abc import Callable

from optuna import samplers
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, BruteForceSampler
from optuna.search_space import IntersectionSearchSpace


class _Grid(BruteForceSampler):
    """Every config once, in the order of chance. It does not stop the study, which ends by itself (study.stopping)."""

    def __init__(self, seed: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(seed)

    def after_trial(self, *_: object) -> None:
        pass


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {  # seed → sampler
    "tpe": lambda seed: samplers.TPESampler(seed=seed),
    "random": lambda seed: samplers.RandomSampler(seed=seed),
    "nsga2": lambda seed: samplers.NSGAIISampler(seed=seed),
    "gp": lambda seed: samplers.GPSampler(seed=seed, warn_independent_sampling=False),
    "grid": _Grid,
    "cmaes": lambda seed: samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
}


def successor(name: str, seed: int, before: BaseSampler | None) -> BaseSampler:
    """A new sampler. before: the last one of this name for the same study.

    Which hyperparameters all trials have in common follows from the trials alone, and of a thousand it takes twice as
    long to find out as to propose the next. Optuna's samplers remember it from ask to ask: so it is handed on.
    """
    sampler = SAMPLERS[name](seed)
    for attribute, value in vars(before).items() if before else ():
        if isinstance(value, IntersectionSearchSpace):
            setattr(sampler, attribute, value)
    return sampler


SINGLE_OBJECTIVE_ONLY = frozenset({"cmaes"})
FINITE_ONLY = frozenset({"grid"})  # a continuous range has no end of values
TAKE_CONSTRAINTS = frozenset({"tpe", "nsga2", "gp"})  # the others are only asked again

# Its products and solvers are MKL's, in float64: on Intel's processors it proposes otherwise than on AMD's.
PROPOSES_BY_TORCH = frozenset({"gp"})

# They learn from complete trials alone, so they are told that a pruned one is complete, with its last accuracy:
# else they propose again what was pruned. CMA-ES searches no better when it is told so (docs/search.md).
PRUNED_AS_COMPLETE = frozenset({"nsga2", "gp"})
