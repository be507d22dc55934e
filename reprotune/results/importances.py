"""How much each hyperparameter decides an objective, by PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255)."""

import math
import re
import sys
import warnings
from collections.abc import Collection, Sequence

import optuna
from optuna.trial import create_trial

from reprotune.params import Declared
from reprotune.search.space import Space, names, values
from reprotune.search.study.spec import DIRECTIONS, Objective, StudySpec
from reprotune.search.study.trials import Trial
from reprotune.training.models import MODELS


def of_study(spec: StudySpec, trials: Sequence[Trial], objective: Objective) -> dict[str, float]:
    """The importances; for a cost, of those hyperparameters alone that it can depend on."""
    return importances(trials, objective, None if objective == "accuracy" else deciding(spec.space))


def deciding(space: Space) -> set[str]:
    """Those that are searched and that the cost of a model depends on, as MODELS has it."""
    models = (MODELS[name] for name in values(space["model"]))
    costly = {"model"}.union(*(model.cost for model in models))
    searched = (name for name in names(space) if len(set(values(declared(space, name)))) > 1)
    return {name for name in searched if re.sub(r"_\d+$", "", name) in costly}


def key(space: Space, name: str) -> str:
    """Under which the space has a config's hyperparameter: `width_1` may be under `width`."""
    return name if name in space else name.rpartition("_")[0]


def declared(space: Space, name: str) -> Declared:
    """What the space says of a config's hyperparameter."""
    return space[key(space, name)]


def importances(
    trials: Sequence[Trial], objective: Objective, among: Collection[str] | None = None
) -> dict[str, float]:
    """Hyperparameter → its share of all importance, 0 … 1, the greatest first; fixed ones are left out.

    It is important if the best tenth of the trials have other values of it than the rest.
    among: the only ones that can be; None: all.
    """
    study, searched = optuna.create_study(direction=DIRECTIONS[objective]), set[str]()
    for trial in trials:
        if trial.result.state == "COMPLETE":
            value = trial.result.value(objective)
            params, distributions = trial.optuna.params, trial.optuna.distributions
            study.add_trial(create_trial(value=value, params=params, distributions=distributions))
            searched |= {name for name, known in distributions.items() if not known.single()}
    if among is not None:
        searched &= set(among)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are few trials, and that `normalize` is new
        found = _evaluated(study, sorted(searched))
    whole = math.fsum(found.values())  # Python's own sum has other last bits from 3.12 on
    return {name: value / whole if whole else 1 / len(found) for name, value in found.items()}


def _evaluated(study: optuna.Study, params: list[str]) -> dict[str, float]:
    """Without scikit-learn, which Optuna imports for another evaluator where it is: that takes over a second."""
    known = "sklearn" in sys.modules
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]  # Python's way to say that a module is missing
    try:
        from optuna.importance import get_param_importances
    finally:
        if not known:
            del sys.modules["sklearn"]
    return get_param_importances(study, params=params, normalize=False)
