"""The winners' test accuracies over the front."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune.figures.pareto_front import draw_pareto_front
from reprotune.figures.style import TrialPoint, save
from reprotune.search.pareto import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write(
    path: Path, cost: str, points: Sequence[TrialPoint], front: Sequence[Point], summary: Mapping[str, Any]
) -> None:
    """The front, and over it the test accuracies of `summary` (evaluation.summarize), equal winners as one."""
    names: dict[tuple[float, float, float | None], list[str]] = {}
    for name, winner in summary.items():
        accuracy = winner["test_accuracy"]
        names.setdefault((winner[cost], accuracy["mean"], accuracy.get("std")), []).append(name.replace("_", " "))

    def draw(axes: "Axes") -> None:
        draw_pareto_front(axes, cost, points, front)
        for (x, mean, std), marker in zip(names, "DsPv^", strict=False):
            label = ", ".join(names[x, mean, std])
            axes.errorbar(x, mean, std, color="black", fmt=marker, markersize=5, capsize=4, label=label)
        low = min(point.accuracy for point in points if point.state == "COMPLETE")
        spread = "mean ± standard deviation" if "std" in accuracy else "1 seed"
        axes.set(title=f"The winners on test, {spread}", ylabel="accuracy")
        axes.set_ylim(max(low, min(mean - (std or 0) for _, mean, std in names) - 0.05), None)

    save(path, draw)
