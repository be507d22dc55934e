"""What is said of the search space; and when nothing is."""

from typing import Any

import pytest
from made_up import study

from reprotune.advice.ranges import at_an_end, tried_twice, without_effect
from reprotune.data.stored import StoredDataset

WIDE = {"type": "int", "low": 1, "high": 101}
MIDDLE = {"lr": 0.003, "width_1": 5, "epochs": 3}


def ends(dataset: StoredDataset, space: dict[str, Any], *best: dict[str, Any]) -> list[str]:
    """What is said of 20 trials, the five best of which are these."""
    trials = [{**MIDDLE, "accuracy": 0.5}] * (20 - len(best)) + [{**MIDDLE, "accuracy": 0.9, **own} for own in best]
    return [str(advice) for advice in at_an_end(study(dataset, trials, space=space))]


DROPOUT = {"dropout": {"type": "float", "low": 0.2, "high": 0.5}}


@pytest.mark.parametrize(
    ("space", "value", "where", "keys"),
    [
        ({}, {"lr": 0.09}, "lr at the upper end", "raise lr.high"),
        ({}, {"lr": 0.00015}, "lr at the lower end", "lower lr.low"),
        ({}, {"width_1": 8}, "width_1 at the upper end", "raise width.high"),
        ({"width": WIDE}, {"width_1": 91}, "width_1 at the upper end", "raise width.high"),
        ({"width_1": WIDE}, {"width_1": 91}, "width_1 at the upper end", "raise width_1.high"),
        (DROPOUT, {"dropout_1": 0.22}, "dropout_1 at the lower end", "lower dropout.low"),
        (
            {},
            {"width_1": 8, "epochs": 4, "lr": 0.00015},
            "lr at the lower end and width_1, epochs at the upper end",
            "lower lr.low and raise width.high, epochs.high",
        ),
    ],
)
def test_the_best_lie_at_an_end(
    dataset: StoredDataset, space: dict[str, Any], value: dict[str, Any], where: str, keys: str
) -> None:
    found = ends(dataset, space, *[value] * 4, {"accuracy": 0.85})
    assert found == [
        f"single_objective: most of the 5 most accurate trials have {where} of the range. Better ones may lie beyond. "
        f"In single_objective.search_space, {keys}."
    ]


@pytest.mark.parametrize(
    ("space", "best"),
    [
        ({}, [{}] * 5),
        ({}, [{"lr": 0.03}] * 5),
        ({}, [{"lr": 0.09}] * 3 + [{}] * 2),
        ({}, [{}] + [{"lr": 0.09}] * 4),  # not the best of them
        ({"width": WIDE}, [{"width_1": 90}] * 5),
        ({"width": {"type": "int", "low": 1, "high": 8}}, [{"width_1": 1}] * 5),  # nothing is narrower
        ({"dropout": {"type": "float", "low": 0.0, "high": 0.5}}, [{"dropout_1": 0.0}] * 5),
        ({"dropout": 0.2}, [{}] * 5),
        ({"batch_size": {"type": "categorical", "choices": [64, 128, 256]}}, [{}] * 5),  # which ends nowhere
        ({}, [{"lr": 0.09}] * 5 + [{"accuracy": 0.895}]),  # those elsewhere are as good
        ({"normalise": {"type": "categorical", "choices": [True, False]}}, [{"normalise": True}] * 5),
    ],
)
def test_the_best_lie_elsewhere_or_nothing_is_beyond(
    dataset: StoredDataset, space: dict[str, Any], best: list[dict[str, Any]]
) -> None:
    assert not ends(dataset, space, *best)


def test_few_trials_have_nothing_in_common_to_speak_of(dataset: StoredDataset) -> None:
    trials = [{**MIDDLE, "accuracy": 0.9, "lr": 0.09}] * 19
    assert not list(at_an_end(study(dataset, trials)))


def spread(count: int) -> list[dict[str, Any]]:
    """The accuracy depends on lr and epochs; a width is as good as another."""
    return [
        {
            "lr": 10 ** (-4 + 3 * number / count),
            "epochs": 4 if number > count * 0.8 else 2,
            "width_1": 2 + number % 7,
            "optimizer": ("Adam", "SGD")[number % 3 == 0],
            "accuracy": 0.5 + number / count / 3,
        }
        for number in range(count)
    ]


def test_a_hyperparameter_without_effect(dataset: StoredDataset) -> None:
    found = [str(advice) for advice in without_effect(study(dataset, spread(140), space={"layers": 1}))]
    assert found[0].startswith("single_objective: the best trials have all kinds of optimizer, width_1.")
    assert not list(without_effect(study(dataset, spread(40), space={"layers": 1})))
    decisive = [
        {"width_1": 4, "epochs": 2, "lr": 0.0001 * 1.1**number, "accuracy": 0.5 + number / 200} for number in range(60)
    ]
    soon = [{**given, "optimizer": "Adam", "width_1": 4} if given["accuracy"] > 0.6 else given for given in spread(140)]
    assert not list(without_effect(study(dataset, soon, space={"layers": 1})))  # it took one value for nearly all
    fixed = {"layers": 1, "width": 4, "optimizer": "Adam", "epochs": 2}
    assert not list(without_effect(study(dataset, decisive, space=fixed)))


def test_a_config_that_is_tried_twice(dataset: StoredDataset) -> None:
    others = [{"lr": 0.001 + number / 1000, "accuracy": 0.9} for number in range(58)]
    assert not list(tried_twice(study(dataset, others)))
    assert not list(tried_twice(study(dataset, others + others[:2])))
    found = str(next(tried_twice(study(dataset, others[:30] + others[:3]))))
    assert found.startswith("single_objective: 3 of 33 trials repeat the config of an earlier one.")
