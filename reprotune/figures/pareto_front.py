"""The Pareto front among all trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from reprotune.figures.style import GREEN, UNITS, VERMILION, TrialPoint, label_costs, on_valid, scatter, upper_part
from reprotune.params import Metric
from reprotune.search import pareto

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Front(NamedTuple):
    """What is drawn of a study."""

    cost: str
    points: Sequence[TrialPoint]  # all trials, x their cost
    front: Sequence[pareto.Point]  # by the finalists' means: it may lie below the points
    floor: float  # 0 if there is none
    metric: Metric = "accuracy"


def draw_pareto_front(axes: "Axes", study: Front, *, with_knee: bool = True) -> None:
    points, front, floor = study.points, study.front, study.floor
    scatter(axes, points)
    axes.step(*zip(*front, strict=True), where="post", color=GREEN, marker="o", label="front")
    if with_knee:
        axes.plot(*front[pareto.knee(front)], color=VERMILION, marker="*", markersize=14, linestyle="", label="knee")
    low, high = upper_part([point.accuracy for point in points])
    low = min(low, front[0][1] - 0.02)
    if floor:
        axes.axhline(floor, color="black", linewidth=1, linestyle="--", label="floor")
        low, high = min(low, floor - 0.02), max(high, floor + 0.02)
    axes.set(title="Pareto front", xlabel=UNITS[study.cost], xscale="log")
    axes.set(ylabel=on_valid(study.metric), ylim=(low, high))
    label_costs(axes.xaxis, wide=max(point.x for point in points) > 1000 * min(point.x for point in points))
