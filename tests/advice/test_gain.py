"""What is said of the gain over the default, and of what the data can show; and when nothing is."""

from typing import Any

import pytest
from conftest import CONFIG
from made_up import EVEN, run, study

from reprotune.advice.checks import CHECKS
from reprotune.advice.gain import gain_over_default, learned_nothing, out_of_balance, too_few_images
from reprotune.advice.run import Advice
from reprotune.data.stored import StoredDataset

ALL: dict[str, Any] = {name: CONFIG[name] for name in ("lr", "batch_size", "epochs")}  # what a default must lie beside
SKEWED = {split: {"cat": 900, "dog": 60, "emu": 40} for split in ("train", "valid", "test")}


@pytest.mark.parametrize(("best", "said"), [(0.25, True), (0.29, True), (0.30, False), (0.9, False)])
def test_no_better_than_the_largest_class(dataset: StoredDataset, best: float, said: bool) -> None:
    found = list(learned_nothing(study(dataset, [{"accuracy": 0.2}, {"accuracy": best}])))
    assert bool(found) == said
    assert not said or f"has an accuracy of {best:.2f}, always answering the largest class would have 0.25." in str(
        found[0]
    )


@pytest.mark.parametrize(("best", "said"), [(0.9, True), (0.95, False)])
def test_a_large_class_is_what_chance_has(dataset: StoredDataset, best: float, said: bool) -> None:
    assert bool(list(learned_nothing(study(dataset, [{"accuracy": best}], balance=SKEWED)))) == said


def test_few_images_cannot_tell_whether_anything_was_learned(dataset: StoredDataset) -> None:
    few = {split: {"cat": 3, "dog": 2} for split in ("train", "valid", "test")}
    (found,) = learned_nothing(study(dataset, [{"accuracy": 1.0}], balance=few))
    assert "5 validation images are too few to tell whether anything was learned." in str(found)


def gain(dataset: StoredDataset, best: float, std: float = 0.01, trials: int = 40, **changes: Any) -> list[Advice]:
    one = study(dataset, [{"accuracy": 0.9}] * trials, **changes)
    return list(gain_over_default(run(one, {"best": {"mean": best, "std": std, "n": 4}})))


def test_a_gain_beyond_its_noise(dataset: StoredDataset) -> None:
    assert not gain(dataset, 0.83)
    assert "leads the untuned default by 3.0 points, give or take 5.2. So the lead may be chance." in str(
        gain(dataset, 0.83, std=0.05)[0]
    )


@pytest.mark.parametrize(("right", "said"), [(803, True), (805, False)])  # of 1,000 test images
def test_one_seed_has_the_noise_of_the_images(dataset: StoredDataset, right: int, said: bool) -> None:
    one = study(dataset, [{"accuracy": 0.9}])
    scores = {"best": {"mean": right / 1000, "n": 1}, "default": {"mean": 0.8, "n": 1}}
    assert bool(list(gain_over_default(run(one, scores)))) == said


def test_a_search_that_lost_says_why(dataset: StoredDataset) -> None:
    one = study(dataset, [{"accuracy": 0.9}])
    lost = {"best": {"mean": 0.795, "std": 0.0, "n": 4}}
    assert [str(advice) for advice in gain_over_default(run(one, lost, epochs=4))] == [
        "On test, the best config is 0.50 points worse than the untuned default. It was trained for 4 epochs, the "
        "default for 10. Allow more in single_objective.search_space.epochs."
    ]
    more = study(dataset, [{"accuracy": 0.9}], space={"epochs": {"type": "int", "low": 2, "high": 10}})
    assert "Allow more" not in str(next(gain_over_default(run(more, lost, epochs=4))))
    failed = study(dataset, [{"accuracy": 0.9}, *[{"state": "FAIL", "reason": "no memory"}] * 3])
    first, *others = [advice for check in CHECKS for advice in check(run(failed, lost, epochs=4))]
    assert first.seen.startswith("On test, the best config is 0.50 points worse than the untuned default.")
    assert any("failed" in advice.seen for advice in others)
    beyond = "The search could not find the default: it lies outside of the search space."
    assert beyond in str(gain(dataset, 0.8)[0])
    wide: dict[str, Any] = {"space": {"width": {"type": "int", "low": 2, "high": 64}}, "training__epochs": 3}
    assert "no better than the untuned default. 5 trials are few." in str(gain(dataset, 0.8, trials=5, **wide)[0])
    assert (
        "one accuracy on 1,000 images, and the highest of many is a lucky one. Take a larger data.dataset, as mnist."
        in str(gain(dataset, 0.8, **wide)[0])
    )
    none: dict[str, Any] = {"single_objective__finalists": {"count": 0, "repeats": 2}}
    assert "Have the best trained again: single_objective.finalists: {count: 5, repeats: 2}." in str(
        gain(dataset, 0.8, **wide, **none)[0]
    )


def test_many_trials_within_the_noise_of_the_best(dataset: StoredDataset) -> None:
    apart = [{"accuracy": 0.4 + number / 100} for number in range(40)]
    assert not list(too_few_images(study(dataset, apart)))
    close = [*apart, *({"accuracy": 0.785 + number / 1000} for number in range(10))]
    assert not list(too_few_images(study(dataset, close)))
    found = str(next(too_few_images(study(dataset, close[20:]))))
    assert found.startswith(
        "single_objective: 11 of 30 complete trials lie within 1.3 points of the best, the standard"
    )
    assert "of an accuracy on 1,000 images (one image: 0.10)" in found


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, "Take a larger data.dataset, as mnist."),
        ({"data__dataset": "mnist"}, "Raise single_objective.finalists, or take the cheapest of them."),
        ({"data__dataset": "image_folder"}, "Add images to data.images.folder."),
        ({"data__valid_examples": 500}, "Raise data.valid_examples."),
    ],
)
def test_where_more_images_come_from(dataset: StoredDataset, changes: dict[str, Any], advice: str) -> None:
    assert next(too_few_images(study(dataset, [{"accuracy": 0.9}] * 10, **changes))).change == advice


def test_classes_out_of_balance(dataset: StoredDataset) -> None:
    one = study(dataset, [{"accuracy": 0.9}])
    assert not list(out_of_balance(run(one, balance=EVEN)))
    nearly = {**SKEWED, "train": {"cat": 299, "dog": 100, "emu": 200}}
    assert not list(out_of_balance(run(one, balance=nearly)))
    found = str(next(out_of_balance(run(one, balance=SKEWED))))
    assert found.startswith("Class cat has 900 training images, class emu 40. Always answering cat would have")
    assert "an accuracy of 0.90 on valid" in found
    assert found.endswith("Set data.metric to balanced_accuracy, or add images of these to data.images.folder.")
    balanced = study(dataset, [{"accuracy": 0.9}], data__metric="balanced_accuracy")
    assert not list(out_of_balance(run(balanced, balance=SKEWED)))


def test_always_answering_the_largest_class_is_no_balanced_accuracy(dataset: StoredDataset) -> None:
    """It has 0.90 by accuracy, and a third by the other."""
    for metric, said in (("accuracy", True), ("balanced_accuracy", False)):
        one = study(dataset, [{"accuracy": 0.9}], balance=SKEWED, data__metric=metric)
        assert bool(list(learned_nothing(one))) == said
