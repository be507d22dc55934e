"""The Pareto front among all trials, and how its winners did on test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune import pareto
from reprotune.figure import GREEN, UNITS, VERMILION, Shown, label_costs, save, scatter, upper_part

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_front(axes: "Axes", cost: str, points: Sequence[Shown]) -> None:
    """points: of all trials, x their cost; only the complete ones can be on the front."""
    scatter(axes, points)
    complete = [(point.x, point.accuracy) for point in points if point.state == "COMPLETE"]
    front = [complete[i] for i in pareto.front(complete)]
    axes.step(*zip(*front, strict=True), where="post", color=GREEN, marker="o", label="front")
    axes.plot(*front[pareto.knee(front)], color=VERMILION, marker="*", markersize=14, linestyle="", label="knee")
    low, high = upper_part([point.accuracy for point in points])
    axes.set(title="Pareto front", xlabel=UNITS[cost], xscale="log", ylabel=UNITS["accuracy"])
    axes.set_ylim(min(low, front[0][1] - 0.02), high)
    label_costs(axes.xaxis, wide=max(point.x for point in points) > 1000 * min(point.x for point in points))


def write_test_scores(path: Path, cost: str, points: Sequence[Shown], summary: Mapping[str, Any]) -> None:
    """The front, and over it the test accuracies of `summary` (evaluation.summarize), equal winners as one."""
    names: dict[tuple[float, float, float], list[str]] = {}
    for name, winner in summary.items():
        accuracy = winner["test_accuracy"]
        names.setdefault((winner[cost], accuracy["mean"], accuracy["std"]), []).append(name.replace("_", " "))

    def draw(axes: "Axes") -> None:
        draw_front(axes, cost, points)
        for (x, mean, std), marker in zip(names, "DsPv^", strict=False):
            label = ", ".join(names[x, mean, std])
            axes.errorbar(x, mean, std, color="black", fmt=marker, markersize=5, capsize=4, label=label)
        low = min(point.accuracy for point in points if point.state == "COMPLETE")
        axes.set(title="The winners on test, mean ± standard deviation", ylabel="accuracy")
        axes.set_ylim(max(low, min(mean - std for _, mean, std in names) - 0.05), None)

    save(path, draw)
