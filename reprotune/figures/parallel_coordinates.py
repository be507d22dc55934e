"""Trials as lines over their hyperparameters, coloured by accuracy."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from reprotune.figures.style import on_valid
from reprotune.params import Metric
from reprotune.search.study.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}


def draw_parallel_coordinates(
    axes: "Axes", trials: Sequence[Trial], names: Sequence[str], limits: tuple[float, float], metric: Metric
) -> None:
    """A line a trial, the most accurate on top; a gap where its config lacks the hyperparameter.

    names: of hyperparameters that the trials have; limits: of the colours' accuracies.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = ScalarMappable(Normalize(*limits), "viridis")
    ordered = sorted(trials, key=lambda trial: trial.result.accuracy or 0.0)
    accuracies = np.array([trial.result.accuracy for trial in ordered])
    for trial, colour in zip(ordered, colours.to_rgba(accuracies), strict=True):
        distributions = trial.optuna.distributions
        heights = [height(distributions[n], trial.config[n]) if n in distributions else math.nan for n in names]
        axes.plot(heights, color=colour, linewidth=1, marker=".", markersize=4)
    known = {name: values for trial in trials for name, values in trial.optuna.distributions.items()}
    for column, name in enumerate(names):
        for value in _labelled(known[name]):
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            at = (column, height(known[name], value))
            axes.text(*at, text, fontsize=9, horizontalalignment="center", verticalalignment="center", bbox=_LABEL)
    axes.set(title="Hyperparameters of the complete trials", yticks=[], ylim=(-0.08, 1.08))
    axes.set_xticks(range(len(names)), names, rotation=30)
    axes.figure.colorbar(colours, ax=axes, label=on_valid(metric), extend="min")


def _labelled(distribution: Any) -> Sequence[Any]:
    """Each choice, or the two ends."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return (distribution.low, distribution.high)


def height(distribution: Any, value: Any) -> float:
    """Where a value stands between the ends, 0 … 1."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices.index(value) / (len(distribution.choices) - 1)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    scale = math.log if distribution.log else float
    low, at, high = (scale(number) for number in (distribution.low, value, distribution.high))
    return (at - low) / (high - low)
