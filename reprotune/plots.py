"""Values → figures, as SVG files with the same bytes for the same values."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from reprotune.artifacts import replacing
from reprotune.study import Spec, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by the colour-blind too.
_COLOURS = {"COMPLETE": "#0072B2", "PRUNED": "#E69F00", "FAIL": "#D55E00"}
_FRONT = "#009E73"
_UNITS = {"flops": "FLOPs of one example", "parameters": "parameters"}


def write_single_objective(folder: Path, trials: Sequence[Trial]) -> None:
    _write(folder / "optimization_history.svg", lambda axes: _history(axes, trials))
    _write(folder / "learning_curves.svg", lambda axes: _learning_curves(axes, trials))


def write_multi_objective(folder: Path, spec: Spec, trials: Sequence[Trial], front: Sequence[Trial]) -> None:
    write_single_objective(folder, trials)
    _write(folder / "pareto_front.svg", lambda axes: _pareto_front(axes, spec, trials, front))


def _history(axes: "Axes", trials: Sequence[Trial]) -> None:
    for state, colour in _COLOURS.items():
        points = [(t.number, t.result.accuracy) for t in trials if t.result.state == state and t.result.curve]
        if points:
            axes.scatter(*zip(*points, strict=True), s=14, color=colour, label=state.lower())
    accuracies = [t.result.accuracy or 0.0 if t.result.state == "COMPLETE" else 0.0 for t in trials]
    best = list(accumulate(accuracies, max))
    axes.step([t.number for t in trials], best, where="post", color="black", linewidth=1, label="best so far")
    axes.set(title="Optimization history", xlabel="trial", ylabel="validation accuracy", ylim=_upper_part(trials))
    axes.legend(loc="lower right")


def _learning_curves(axes: "Axes", trials: Sequence[Trial]) -> None:
    for state, colour in _COLOURS.items():
        label: str | None = state.lower()
        for trial in trials:
            if trial.result.state == state and trial.result.curve:
                accuracies = [point.valid_accuracy for point in trial.result.curve]
                epochs = range(1, len(accuracies) + 1)
                axes.plot(epochs, accuracies, color=colour, linewidth=0.8, alpha=0.6, label=label)
                label = None  # one entry a state in the legend
    axes.set(title="Learning curves", xlabel="epoch", ylabel="validation accuracy", ylim=_upper_part(trials))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower right")


def _pareto_front(axes: "Axes", spec: Spec, trials: Sequence[Trial], front: Sequence[Trial]) -> None:
    cost = spec.objectives[0]
    for state, colour in _COLOURS.items():
        points = [(getattr(t.result.cost, cost), t.result.accuracy) for t in trials if t.result.state == state and t.result.curve]
        if points:
            axes.scatter(*zip(*points, strict=True), s=14, color=colour, alpha=0.6, label=state.lower())
    optimal = [(getattr(t.result.cost, cost), t.result.accuracy) for t in front]
    axes.step(*zip(*optimal, strict=True), where="post", color=_FRONT, marker="o", label="Pareto front")
    axes.set(title="Pareto front", xlabel=_UNITS[cost], ylabel="validation accuracy", xscale="log", ylim=_upper_part(trials))
    axes.legend(loc="lower right")


def _upper_part(trials: Sequence[Trial]) -> tuple[float, float]:
    """Limits that hold the better three quarters of the trials, where the differences that matter are."""
    accuracies = sorted(t.result.accuracy for t in trials if t.result.accuracy is not None)
    low = accuracies[len(accuracies) // 4]
    return (low - 0.25 * (accuracies[-1] - low) - 0.01, min(1.0, accuracies[-1] + 0.02))


def _write(path: Path, draw: Callable[["Axes"], None]) -> None:
    import matplotlib as mpl  # noqa: PLC0415  (1 s, at the end of a study)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": path.stem, "font.size": 11, "axes.grid": True, "grid.alpha": 0.3}):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        draw(figure.subplots())
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
