"""The winners go by the finalists' means; what was not trained again wins only where no finalist stands."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from made_up import curve, study

from reprotune.data.stored import StoredDataset
from reprotune.results import winners
from reprotune.search.study import Trial
from reprotune.search.trial import Result


def again(trial: Trial, *accuracies: float | None) -> Trial:
    """With repeats; None is one that failed."""
    results = (Result("COMPLETE", curve(a), None) if a is not None else Result("FAIL", (), None) for a in accuracies)
    return replace(trial, repeats=tuple(results))


def trials(dataset: StoredDataset, *given: tuple[int, float], name: str = "single_objective") -> Sequence[Trial]:
    """given: flops, accuracy."""
    return study(dataset, [{"flops": flops, "accuracy": accuracy} for flops, accuracy in given], name).trials


def test_the_best_mean_wins(dataset: StoredDataset) -> None:
    lucky, steady, third, other = trials(dataset, (100, 0.95), (100, 0.93), (100, 0.92), (100, 0.94))
    told = [again(lucky, 0.90, 0.91), again(steady, 0.93, 0.93), again(third, None, 0.99), other]
    best = winners.best(told)
    assert best.number == 1
    assert winners.best([lucky, steady, third, other]).number == 0
    mean = {"accuracy_mean": 0.93, "accuracy_std": 0, "n": 3}
    assert winners.as_config(best).items() >= {"accuracy": 0.93, **mean}.items()
    assert winners.accuracy(told[2]) == pytest.approx((0.92 + 0.0 + 0.99) / 3)
    assert winners.on_valid(other) == {"accuracy_mean": 0.94, "n": 1}
    found = winners.certainty(told, best)
    assert found.keys() == {"finalists", "winner_accuracy", "winner_standard_error", "winner_probability"}
    assert (found["finalists"], found["winner_accuracy"]) == (3, 0.93)
    assert winners.certainty([lucky, other], lucky) == {}


def test_of_one_finalist_nothing_is_said_but_its_mean(dataset: StoredDataset) -> None:
    (one,) = trials(dataset, (100, 0.9))
    assert winners.certainty([again(one, 0.8)], one) == {}
    assert winners.certainty([again(one, 0.8)], again(one, 0.8)) == {
        "finalists": 1,
        "winner_accuracy": pytest.approx(0.85),
    }


def test_the_front_goes_by_the_means(dataset: StoredDataset) -> None:
    """The lucky one leaves it, what it hid comes in, the cheap end that is no finalist stays, and so does its knee."""
    cheap, lucky, hidden, beaten, most = trials(
        dataset, (100, 0.5), (200, 0.92), (250, 0.91), (260, 0.6), (400, 0.95), name="multi_objective"
    )
    told = [cheap, again(lucky, 0.84, 0.82), again(hidden, 0.91, 0.91), beaten, again(most, 0.93, 0.94)]
    assert [trial.number for trial in winners.pareto_front([cheap, lucky, hidden, beaten, most])] == [0, 1, 4]
    front = winners.pareto_front(told)
    assert [trial.number for trial in front] == [0, 1, 2, 4]
    told[1] = again(lucky, 0.2, 0.2)
    assert [trial.number for trial in winners.pareto_front(told)] == [0, 2, 4]
    assert winners.best_configs(front)["most_accurate"].number == 4
    assert winners.standing(front[2]) == pytest.approx((250, 0.91))
