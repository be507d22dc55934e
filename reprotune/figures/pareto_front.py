"""The Pareto front among all trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reprotune.figures.style import GREEN, UNITS, VERMILION, TrialPoint, label_costs, scatter, upper_part
from reprotune.search import pareto

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_pareto_front(axes: "Axes", cost: str, points: Sequence[TrialPoint], front: Sequence[pareto.Point]) -> None:
    """points: of all trials, x their cost; the front, which goes by the finalists' means, may lie below them."""
    scatter(axes, points)
    axes.step(*zip(*front, strict=True), where="post", color=GREEN, marker="o", label="front")
    axes.plot(*front[pareto.knee(front)], color=VERMILION, marker="*", markersize=14, linestyle="", label="knee")
    low, high = upper_part([point.accuracy for point in points])
    axes.set(title="Pareto front", xlabel=UNITS[cost], xscale="log", ylabel=UNITS["accuracy"])
    axes.set_ylim(min(low, front[0][1] - 0.02), high)
    label_costs(axes.xaxis, wide=max(point.x for point in points) > 1000 * min(point.x for point in points))
