"""What is said of the winner's certainty is what simulated tournaments show."""

import statistics
from itertools import pairwise

import numpy as np
import pytest

from reprotune.results.confidence import probability_of_best, standard_error


@pytest.mark.parametrize(("finalists", "repeats"), [(5, 2), (10, 1)])
def test_the_stated_probability_is_calibrated(finalists: int, repeats: int) -> None:
    """A hundred configs a tournament, the best by one training trained again, the best mean wins; whatever the
    spread of what is true is beside the noise. In each third of the statements, as often right as they say.
    """
    rng = np.random.default_rng(0)
    stated, right = list[float](), list[bool]()
    for spread in [0.3, 0.6, 1.0, 1.5, 2.0, 3.0] * 40:
        true = rng.normal(0.9, 0.01 * spread, 100)
        first = true + rng.normal(0, 0.01, 100)
        chosen = np.argsort(-first)[:finalists]
        again = true[chosen, None] + rng.normal(0, 0.01, (finalists, repeats))
        trainings = np.column_stack([first[chosen], again])
        winner = int(trainings.mean(axis=1).argmax())
        stated.append(probability_of_best(trainings.tolist(), winner) or 0.0)
        right.append(true[chosen].argmax() == winner)
    order = np.argsort(stated)
    thirds = [(np.mean(np.take(stated, part)), np.mean(np.take(right, part))) for part in np.array_split(order, 3)]
    for said, was in thirds:
        assert said == pytest.approx(was, abs=0.12)  # of 80 tournaments, the standard error is 0.055
    assert all(low[1] < high[1] for low, high in pairwise(thirds))
    assert np.mean(stated) == pytest.approx(np.mean(right), abs=0.07)


def test_the_probabilities_of_all_add_up_to_one() -> None:
    trainings = [[0.90, 0.91, 0.92], [0.92, 0.93, 0.94], [0.91, 0.94, 0.90], [0.88, 0.90, 0.89]]
    each = [probability_of_best(trainings, number) for number in range(4)]
    assert sum(p or 0.0 for p in each) == pytest.approx(1, abs=1e-3)
    assert max(each, key=lambda p: p or 0.0) == each[1]


def test_a_wide_lead_is_certain_and_none_is_a_guess() -> None:
    wide = probability_of_best([[0.95, 0.951, 0.949], [0.90, 0.901, 0.899], [0.90, 0.899, 0.901]], 0)
    assert wide is not None
    assert wide > 0.95
    assert probability_of_best([[0.9, 0.8], [0.8, 0.9]], 0) == 0.5
    assert probability_of_best([[1.0, 1.0]] * 4, 2) == 0.25


def test_the_standard_error_is_that_of_a_mean() -> None:
    """The luck that a training has in common with all is none of it."""
    rng = np.random.default_rng(1)
    luck = np.array([0.05, 0.0, 0.0])
    errors = [standard_error((0.9 + luck + rng.normal(0, 0.01, (5, 3))).tolist()) or 0.0 for _ in range(200)]
    assert statistics.fmean(errors) == pytest.approx(0.01 / 3**0.5, rel=0.1)


@pytest.mark.parametrize("trainings", [[[0.9, 0.8, 0.7]], [[0.9], [0.8]]])
def test_nothing_is_said_of_one_finalist_or_one_training(trainings: list[list[float]]) -> None:
    assert probability_of_best(trainings, 0) is None
    assert standard_error(trainings) is None
