"""What is said of how a study went; and when nothing is."""

from dataclasses import replace
from typing import Any

import pytest
from made_up import curve, study

from reprotune.advice.course import (
    ended_too_early,
    ended_too_late,
    failures,
    nothing_feasible,
    overfitted,
    pruned_too_early,
    pruned_too_few,
    pruned_too_many,
    repeat_failures,
    timed_out,
)
from reprotune.data.stored import StoredDataset
from reprotune.search.trial import Result

DONE: dict[str, Any] = {"accuracy": 0.9}
PRUNED: dict[str, Any] = {"accuracy": 0.4, "state": "PRUNED", "reason": "median after epoch 1"}


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        (None, []),
        (0.9, []),
        (0.95, ["none of 30 complete trials reached min_accuracy, 0.95; the best has 0.9000."]),
    ],
)
def test_nothing_feasible(dataset: StoredDataset, floor: float | None, said: list[str]) -> None:
    one = study(dataset, [DONE] * 30 + [PRUNED] * 5, "multi_objective")
    found = list(nothing_feasible(replace(one, spec=replace(one.spec, min_accuracy=floor))))
    assert [advice.seen for advice in found] == [f"multi_objective: {line}" for line in said]
    assert all("Lower multi_objective.min_accuracy" in advice.change for advice in found)


def test_nothing_feasible_by_the_means(dataset: StoredDataset) -> None:
    one = study(dataset, [DONE], "multi_objective", multi_objective__min_accuracy=0.8)
    lucky = replace(one.trials[0], repeats=(Result("COMPLETE", curve(0.5), None),))
    (found,) = nothing_feasible(replace(one, trials=[lucky]))
    assert found.seen.endswith("reached min_accuracy, 0.8; the best has 0.7000.")


def failed(reason: str) -> dict[str, Any]:
    return {"state": "FAIL", "reason": reason, "curve": ()}


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([DONE] * 40, ""),
        ([DONE] * 38 + [failed("Diverged: a loss is nan")] * 2, ""),
        ([DONE] * 37 + [failed("Diverged: a loss is nan")] * 3, "3 of 40 trials failed, 3 of them by Diverged. They"),
        ([DONE] * 39 + [failed("WorkerDied: it died")], "1 of 40 trials failed, 1 of them by WorkerDied. They"),
        ([DONE] * 37 + [failed("Diverged: x")] * 3, "Lower lr in single_objective.search_space."),
        ([DONE] * 39 + [failed("TimeoutError: took longer")], "Raise execution.trial_timeout"),
        ([DONE] * 39 + [failed("MemoryError: x")], "fewer execution.workers"),
    ],
)
def test_failures(dataset: StoredDataset, trials: list[dict[str, Any]], said: str) -> None:
    found = " ".join(map(str, failures(study(dataset, trials))))
    assert said in found
    assert bool(said) == bool(found)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("WorkerDied: it died", "1 of 2 repeats of its finalists failed, 1 of them by WorkerDied. Each counts as an"),
        ("WorkerDied: it died", "run `make retry`; results/single_objective/finalists.csv has all reasons."),
        ("TimeoutError: took longer", "Raise execution.trial_timeout, then run `make retry`."),
        ("Diverged: a loss is nan", ""),
    ],
)
def test_repeat_failures(dataset: StoredDataset, reason: str, said: str) -> None:
    one = study(dataset, [DONE] * 2)
    assert not list(repeat_failures(one))
    repeats = (Result("COMPLETE", curve(0.9), None), Result("FAIL", (), None, reason))
    found = " ".join(map(str, repeat_failures(replace(one, trials=[replace(one.trials[0], repeats=repeats)]))))
    assert said in found
    assert bool(said) == bool(found)


def rising(*steps: tuple[int, float]) -> list[dict[str, Any]]:
    """So many trials of this accuracy, one after the other."""
    return [{"accuracy": accuracy} for count, accuracy in steps for _ in range(count)]


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_it_ended_too_early_or_too_late(dataset: StoredDataset, name: str) -> None:
    def said(*steps: tuple[int, float]) -> str:
        one = study(dataset, rising(*steps), name)
        return " ".join(str(advice) for check in (ended_too_early, ended_too_late) for advice in check(one))

    assert "the last quarter of its 40 trials still made it clearly better. More trials will probably find more. " in (
        said((30, 0.85), (10, 0.9))
    )
    assert f"Raise {name}.n_trials; only the difference is trained." in said((30, 0.85), (10, 0.9))
    assert not said((30, 0.896), (10, 0.9))  # by chance
    assert not said((55, 0.85), (45, 0.852))
    assert "the second half of its 100 trials brought no better" in said((50, 0.9), (50, 0.8))
    assert not said((50, 0.9), (49, 0.8))  # too few to tell
    assert not said((19, 0.8))


def test_what_ended_it_is_the_key_to_raise_or_lower(dataset: StoredDataset) -> None:
    one = study(dataset, rising((30, 0.85), (10, 0.9)), stopped_by="timeout", single_objective__n_trials=50)
    assert next(ended_too_early(one)).change.startswith("Raise single_objective.timeout")
    long = rising((50, 0.9), (50, 0.8))
    for by, key in (("max_epochs", "max_epochs"), ("exhausted", "n_trials")):
        found = next(ended_too_late(study(dataset, long, stopped_by=by)))
        assert found.change.startswith(f"Lower single_objective.{key}, ")
    assert str(next(timed_out(one))) == (
        "single_objective: its timeout ended it after 40 of 50 trials. A faster or slower machine ends at another "
        "trial, so the results cannot be reproduced. Set single_objective.n_trials to 40, and "
        "single_objective.timeout to null."
    )
    assert not list(timed_out(study(dataset, [DONE] * 40)))


@pytest.mark.parametrize(
    ("complete", "pruned", "said"),
    [
        (4, 40, "only 4 of 44"),
        (5, 40, ""),
        (1, 15, ""),
        (40, 0, "ended 0 of 40"),
        (49, 1, "ended 1 of 50"),
        (48, 2, ""),
    ],
)
def test_it_pruned_nearly_all_or_nearly_nothing(dataset: StoredDataset, complete: int, pruned: int, said: str) -> None:
    trials = [DONE] * complete + [PRUNED] * pruned
    one = study(dataset, trials)
    found = [str(advice) for check in (pruned_too_many, pruned_too_few) for advice in check(one)]
    assert bool(found) == bool(said)
    assert said in "".join(found)
    assert not list(pruned_too_few(study(dataset, trials, single_objective__pruner="none")))


def test_what_else_prunes_where_there_is_one_pruner(dataset: StoredDataset) -> None:
    one = study(dataset, [DONE] * 40, "multi_objective", multi_objective__pruner="pareto")
    lower = "Lower the margin, as in multi_objective.pruner: {name: pareto, margin: 0.01}, or set multi_objective.rung."
    assert lower in str(next(pruned_too_few(one)))


def after_the_first_epoch(best: float, others: float) -> list[dict[str, Any]]:
    """25 complete trials, and the accuracies after their first epoch: of the five that are the best, of the others."""
    return [
        *({"curve": curve(best, 0.9)} for _ in range(5)),
        *({"curve": curve(others, 0.8)} for _ in range(20)),
        *[PRUNED] * 5,
    ]


def test_it_pruned_by_what_says_little(dataset: StoredDataset) -> None:
    found = str(next(pruned_too_early(study(dataset, after_the_first_epoch(0.5, 0.6)))))
    assert "after epoch 1, where pruning was at work, 5 of the 5 best trials were behind most others." in found
    assert not list(pruned_too_early(study(dataset, after_the_first_epoch(0.6, 0.5))))
    assert not list(pruned_too_early(study(dataset, after_the_first_epoch(0.5, 0.6)[:-1])))  # four pruned
    assert not list(pruned_too_early(study(dataset, after_the_first_epoch(0.5, 0.6), "multi_objective")))


def test_the_best_learned_by_heart(dataset: StoredDataset) -> None:
    def said(train: float, *valid: float, **changes: Any) -> str:
        points = [curve(0.9, train=train, valid=loss)[0] for loss in valid]
        return "".join(map(str, overfitted(study(dataset, [{"curve": tuple(points)}] * 20, **changes))))

    assert "a loss of 0.10 on train and 0.50 on valid, and that rises." in said(0.1, 0.4, 0.5)
    assert "Search shift or weight_decay" in said(0.1, 0.4, 0.5)
    assert "Raise data.train_examples" in said(0.1, 0.4, 0.5, data__train_examples=100)
    assert not said(0.3, 0.4, 0.5)
    assert not said(0.1, 0.5, 0.5)
    assert not said(0.6, 0.5, 0.4)
    assert not said(0.0, 0.0, 0.0)  # all images are easy
    assert "a loss of 0.00 on train and 0.10 on valid, and that rises." in said(0.0, 0.0, 0.1)
