"""What the search bought: is it more than the default, than chance, and than the data can show?"""

import math
from collections.abc import Iterator

from reprotune.advice.run import Advice, Run, Study, points
from reprotune.data.metric import effective_images, share_right
from reprotune.results.winners import first_accuracy
from reprotune.search.space import contains, default_config, values

_FEW = 30  # trials: TPE has only begun to learn


def learned_nothing(study: Study) -> Iterator[Advice]:
    """The best of all trials is no better than always answering the largest class (within three standard errors), or
    the images are so few that none could be.
    """
    images, metric = list(study.balance["valid"].values()), study.spec.metric
    right = [0] * len(images)
    right[images.index(max(images))] = max(images)
    largest = share_right(right, images, metric)
    best, least = first_accuracy(study.ranked[0]), largest + 3 * study.spec.standard_error(largest)
    seen = (
        f"{study.name}: the best trial has {study.score} of {best:.2f}, always answering the largest class would "
        f"have {largest:.2f}."
    )
    if least >= 1:
        few = f"{study.images:,} validation images are too few to tell whether anything was learned."
        yield Advice(seen, few, more_images(study))
    elif best <= least:
        yield Advice(
            seen,
            "Nothing was learned.",
            f"Search other values of lr, and more epochs, in {study.name}.search_space; "
            "results/dataset/figures/samples.png shows whether images and labels are right.",
        )


def gain_over_default(run: Run) -> Iterator[Advice]:
    """The best config's lead on test is none, or less than two of its standard errors."""
    best, default = (run.scores[name]["test_accuracy"] for name in ("best", "default"))
    lead = best["mean"] - default["mean"]
    error = _error(run, lead)
    if 0 < lead <= 2 * error:
        yield Advice(
            f"On test, the best config leads the untuned default by {points(lead)} points, give or take "
            f"{points(2 * error)}.",
            "So the lead may be chance.",
            f"Raise {run.studies[0].length} to find more, or evaluate.seeds to know it better.",
        )
    elif lead <= 0:
        behind = f"{points(-lead)} points worse than" if lead else "no better than"
        yield Advice(f"On test, the best config is {behind} the untuned default.", *_why_lost(run))


def _error(run: Run, lead: float) -> float:
    """The standard error of the lead: of the seeds, where there are several; and of the test images, of which the
    two configs must differ in a share of `lead` at least.
    """
    scores = (run.scores[name]["test_accuracy"] for name in ("best", "default"))
    seeds = math.fsum(score.get("std", 0.0) ** 2 / score["n"] for score in scores)
    return math.sqrt(seeds + abs(lead) / effective_images(run.balance["test"].values(), run.params.data.metric))


def _why_lost(run: Run) -> tuple[str, str]:
    """The likeliest cause, and what to change."""
    study, default = run.studies[0], default_config(run.params)
    space = f"{study.name}.search_space"
    if run.best["epochs"] < default["epochs"] and default["epochs"] > max(values(study.spec.space["epochs"])):
        return (
            f"It was trained for {run.best['epochs']} epochs, the default for {default['epochs']}.",
            f"Allow more in {space}.epochs.",
        )
    if not contains(study.spec.space, default):
        return "The search could not find the default: it lies outside of the search space.", f"Widen {space}."
    if len(study.trials) < _FEW:
        return f"{len(study.trials)} trials are few.", f"Raise {study.length}."
    trainings = max(len(trial.repeats) for trial in study.trials)
    by = f"the mean of {1 + trainings} accuracies" if trainings else "one accuracy"
    lucky = f"It was chosen by {by} on {study.images:,} images, and the highest of many is a lucky one."
    if not study.spec.finalists.count:
        return lucky, f"Have the best trained again: {study.name}.finalists: {{count: 5, repeats: 2}}."
    return lucky, more_images(study)


def too_few_images(study: Study) -> Iterator[Advice]:
    """Many trials are within a standard error of the best."""
    ranked, error = study.ranked, study.standard_error
    close = sum(first_accuracy(trial) >= first_accuracy(ranked[0]) - error for trial in ranked)
    if close >= max(10, len(ranked) / 4):
        yield Advice(
            f"{study.name}: {close} of {len(ranked)} complete trials lie within {points(error)} points of the best, "
            f"the standard error of {study.score} on {study.images:,} images (one image: {points(1 / study.images)}).",
            "Which of them is the best is a matter of luck.",
            more_images(study),
        )


def more_images(study: Study) -> str:
    """How to validate with more images, or what to do where there are no more."""
    data = study.params.data
    if data.valid_examples:
        return "Raise data.valid_examples."
    changes = {"image_folder": "Add images to data.images.folder.", "mnist_5k": "Take a larger data.dataset, as mnist."}
    return changes.get(data.dataset, f"Raise {study.name}.finalists, or take the cheapest of them.")


def out_of_balance(run: Run) -> Iterator[Advice]:
    """The largest class has three times the training images of the smallest, or more, and accuracy decides."""
    train, valid = run.balance["train"], run.balance["valid"]
    largest, smallest = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
    if run.params.data.metric == "accuracy" and train[largest] >= 3 * train[smallest]:
        share = valid[largest] / sum(valid.values())
        yield Advice(
            f"Class {largest} has {train[largest]:,} training images, class {smallest} {train[smallest]:,}.",
            f"Always answering {largest} would have an accuracy of {share:.2f} on valid; compare with that, and see "
            "that accuracy hardly counts the small classes.",
            "Set data.metric to balanced_accuracy, or add images of these to data.images.folder.",
        )
