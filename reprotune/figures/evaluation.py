"""The winners' test accuracies: over the front, and the best one's against the default's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune.data.metric import told
from reprotune.figures.pareto_front import Front, draw_pareto_front
from reprotune.figures.style import BLUE, GREEN, mark_clipped, save
from reprotune.params import Metric
from reprotune.results.gain import gain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROOM = 0.02  # around what is drawn, of accuracy


def write(path: Path, front: Front, summary: Mapping[str, Any]) -> None:
    """The front, and over it the test accuracies of `summary` (evaluation.summarize), equal winners as one."""
    names: dict[tuple[float, float, float | None], list[str]] = {}
    for name, winner in summary.items():
        accuracy = winner["test_accuracy"]
        names.setdefault((winner[front.cost], accuracy["mean"], accuracy.get("std")), []).append(name.replace("_", " "))

    def draw(axes: "Axes") -> None:
        draw_pareto_front(axes, front, with_knee=False)  # it is among the winners
        for (x, mean, std), marker in zip(names, "DsPv^<>p", strict=False):
            label = ", ".join(names[x, mean, std])
            axes.errorbar(x, mean, std, color="black", fmt=marker, markersize=5, capsize=4, label=label)
        spread = "mean ± standard deviation" if any(std is not None for *_, std in names) else "1 seed"
        axes.set(title=f"The winners on test, {spread}", ylabel=told(front.metric))
        shown = [y for _, y in front.front] + [mean + side * (std or 0) for _, mean, std in names for side in (-1, 1)]
        if front.floor:
            shown.append(front.floor)
        axes.set_ylim(min(shown) - _ROOM, max(shown) + _ROOM)
        mark_clipped(axes, front.points)

    save(path, draw)


def write_gain(path: Path, best: Sequence[float], default: Sequence[float], metric: Metric = "accuracy") -> None:
    """Test scores, a line a seed from the default config to the best one, and the lead with its interval."""
    found = gain(best, default)

    def draw(axes: "Axes") -> None:
        for i, pair in enumerate(zip(default, best, strict=True)):
            label = "one seed" if i == 0 else None
            axes.plot([0, 1], pair, color=BLUE, marker="o", markersize=5, linewidth=1, alpha=0.7, label=label)
        middle = sum(default) / len(default)
        if found.half is None:
            title = f"Best − default: {100 * found.mean:+.2f} points on test (1 seed)"
        else:
            low, high = (100 * (found.mean + side * found.half) for side in (-1, 1))
            title = f"Best − default: {100 * found.mean:+.2f} points (95%: {low:+.2f} to {high:+.2f})"
            label = "lead, 95% interval"
            style: dict[str, Any] = {"color": GREEN, "fmt": "s", "capsize": 5, "linewidth": 2}
            axes.errorbar(1.12, middle + found.mean, found.half, label=label, **style)
            axes.axhline(middle, color="black", linestyle="--", linewidth=1, label="mean of the default")
        axes.set_xticks([0, 1], ["default", "best"])
        axes.set(title=title, ylabel=f"test {told(metric)}", xlim=(-0.3, 1.4))

    save(path, draw)
