"""What was searched: are its ranges too narrow, or does a part of it not matter?"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

from reprotune.advice.run import Advice, Study
from reprotune.params import FloatRange, IntRange
from reprotune.results.importances import importances
from reprotune.results.winners import first_accuracy
from reprotune.training.hyperparameters import fault

End = Literal["low", "high"]
_MOST = 0.8  # of the best trials
_NEAR = 0.1  # of a range
_MIXED = 0.7  # of the best trials, at most, have the same
_UNIMPORTANT = 0.01  # share of all importance
_ENOUGH = 50  # complete trials, to say that something does not matter


def at_an_end(study: Study) -> Iterator[Advice]:
    """Most of the best trials have a hyperparameter at an end of its range, those elsewhere are worse by more than a
    standard error, and the end may be moved.
    """
    top = study.top
    found: dict[End, dict[str, str]] = {"low": {}, "high": {}}  # hyperparameter → its key
    for name in top[0].config if top else ():
        key, declared = study.declared(name)
        if isinstance(declared, IntRange | FloatRange) and declared.low < declared.high:
            for end, keys in found.items():
                if _is_best_at(study, name, declared, end) and _may_move(name, declared, end):
                    keys[name] = f"{key}.{end}"
    if any(found.values()):
        where = [f"{', '.join(found[end])} at the {word} end" for end, word in _WORDS.items() if found[end]]
        yield Advice(
            f"{study.name}: most of the {len(top)} most accurate trials have {' and '.join(where)} of the range.",
            "Better ones may lie beyond.",
            f"In {study.name}.search_space, {_moved(found)}.",
        )


def _is_best_at(study: Study, name: str, declared: IntRange | FloatRange, end: End) -> bool:
    having = [trial for trial in study.ranked if name in trial.config]
    near = {trial.number: _is_near(trial.config[name], declared, end) for trial in having}
    top = [near[trial.number] for trial in study.top if trial.number in near]
    elsewhere = max((first_accuracy(trial) for trial in having if not near[trial.number]), default=0.0)
    at_top = len(top) >= 5 and sum(top) >= _MOST * len(top)
    return at_top and elsewhere < first_accuracy(study.ranked[0]) - study.standard_error


_WORDS: Mapping[End, str] = {"low": "lower", "high": "upper"}


def _moved(found: Mapping[End, Mapping[str, str]]) -> str:
    verbs: Mapping[End, str] = {"low": "lower", "high": "raise"}
    return " and ".join(
        f"{verb} {', '.join(dict.fromkeys(found[end].values()))}" for end, verb in verbs.items() if found[end]
    )


def _share(value: float, declared: IntRange | FloatRange) -> float:
    """Where it lies in the range: 0 is low, 1 is high."""
    low, high, at = (math.log(x) if declared.log else x for x in (declared.low, declared.high, value))
    return (at - low) / (high - low)


def _is_near(value: float, declared: IntRange | FloatRange, end: End) -> bool:
    share = _share(value, declared)
    return (1 - share if end == "high" else share) <= _NEAR


def _may_move(name: str, declared: IntRange | FloatRange, end: End) -> bool:
    """Whether there are legal values beyond."""
    at, sign = (declared.high, 1) if end == "high" else (declared.low, -1)
    if isinstance(declared, IntRange):
        return not fault(name, at + sign * declared.step)
    return not fault(name, at * 2.0**sign if declared.log else at + sign * (declared.high - declared.low) / 10)


def without_effect(study: Study) -> Iterator[Advice]:
    """A searched hyperparameter has hardly any importance (results.importances), and the best trials differ in it.

    Importance alone does not tell: where a search soon took one value for nearly all trials, all have it.
    """
    ranked = study.ranked
    if len(ranked) >= _ENOUGH:
        shares = importances(ranked, "accuracy")
        idle = sorted(name for name, share in shares.items() if share < _UNIMPORTANT and _differs(study, name))
        if idle:
            yield Advice(
                f"{study.name}: the best trials have all kinds of {', '.join(idle)}.",
                "It hardly decides the accuracy, and a smaller space is searched faster.",
                f"Give it a plain value in {study.name}.search_space.",
            )


def _differs(study: Study, name: str) -> bool:
    """Whether all of the best trials have it, and most neither one choice nor one half of the range."""
    declared = study.declared(name)[1]
    if any(name not in trial.config for trial in study.ranked):
        return False
    values = [trial.config[name] for trial in study.top]
    if isinstance(declared, IntRange | FloatRange):
        values = [_share(value, declared) > 0.5 for value in values]
    return Counter(values).most_common(1)[0][1] <= _MIXED * len(values)


def tried_twice(study: Study) -> Iterator[Advice]:
    """A twentieth of the trials or more, and two at least, repeat an earlier one's config."""
    configs = [tuple(sorted(trial.config.items())) for trial in study.trials if not trial.result.untrained]
    repeats = len(configs) - len(set(configs))
    if repeats >= max(2, len(configs) / 20):
        yield Advice(
            f"{study.name}: {repeats} of {len(configs)} trials repeat the config of an earlier one.",
            "They tell only how much chance there is in a training.",
            f"Lower {study.length}, or widen {study.name}.search_space.",
        )
