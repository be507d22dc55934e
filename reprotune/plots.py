"""Values → figures, as SVG files with the same bytes for the same values."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from reprotune.artifacts import replacing
from reprotune.spec import Spec
from reprotune.study import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by the colour-blind too.
_COLOURS = {"COMPLETE": "#0072B2", "PRUNED": "#E69F00", "FAIL": "#D55E00"}
_FRONT = "#009E73"
_UNITS = {"flops": "FLOPs of one example", "parameters": "parameters"}


def write_single_objective(folder: Path, trials: Sequence[Trial]) -> None:
    _write(folder / "optimization_history.svg", trials, lambda axes: _history(axes, trials))
    _write(folder / "learning_curves.svg", trials, lambda axes: _learning_curves(axes, trials))


def write_multi_objective(folder: Path, spec: Spec, trials: Sequence[Trial], front: Sequence[Trial]) -> None:
    write_single_objective(folder, trials)
    _write(folder / "pareto_front.svg", trials, lambda axes: _pareto_front(axes, str(spec.cost), trials, front))


def _history(axes: "Axes", trials: Sequence[Trial]) -> None:
    _scatter(axes, [(trial, trial.number) for trial in trials])
    accuracies = (trial.result.accuracy or 0.0 if trial.result.state == "COMPLETE" else 0.0 for trial in trials)
    numbers = [trial.number for trial in trials]
    axes.step(numbers, list(accumulate(accuracies, max)), where="post", color="black", linewidth=1, label="best so far")
    axes.set(title="Optimization history", xlabel="trial")


def _learning_curves(axes: "Axes", trials: Sequence[Trial]) -> None:
    for trial in trials:
        accuracies = [point.valid_accuracy for point in trial.result.curve]
        axes.plot(
            range(1, len(accuracies) + 1), accuracies, color=_COLOURS[trial.result.state], linewidth=0.8, alpha=0.6
        )
    for state in sorted({trial.result.state for trial in trials}):
        axes.plot([], [], color=_COLOURS[state], label=state.lower())
    axes.set(title="Learning curves", xlabel="epoch")


def _pareto_front(axes: "Axes", cost: str, trials: Sequence[Trial], front: Sequence[Trial]) -> None:
    _scatter(axes, [(trial, getattr(trial.result.cost, cost)) for trial in trials if trial.result.cost])
    costs = [getattr(trial.result.cost, cost) for trial in front]
    accuracies = [trial.result.accuracy or 0.0 for trial in front]
    axes.step(costs, accuracies, where="post", color=_FRONT, marker="o", label="Pareto front")
    axes.set(title="Pareto front", xlabel=_UNITS[cost], xscale="log")


def _scatter(axes: "Axes", points: Sequence[tuple[Trial, float]]) -> None:
    """Last accuracies over `points`' second values, a colour a state."""
    for state in sorted({trial.result.state for trial, _ in points}):
        shown = [(x, t.result.accuracy) for t, x in points if t.result.state == state and t.result.accuracy is not None]
        axes.scatter([x for x, _ in shown], [y for _, y in shown], s=14, color=_COLOURS[state], label=state.lower())


def _upper_part(trials: Sequence[Trial]) -> tuple[float, float]:
    """Limits that hold the better three quarters of the trials, where the differences that matter are."""
    accuracies = sorted(t.result.accuracy for t in trials if t.result.accuracy is not None)
    low = accuracies[len(accuracies) // 4]
    return (low - 0.25 * (accuracies[-1] - low) - 0.01, min(1.0, accuracies[-1] + 0.02))


def _write(path: Path, trials: Sequence[Trial], draw: Callable[["Axes"], None]) -> None:
    import matplotlib as mpl  # 1 s, at the end of a study
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": path.stem, "font.size": 11, "axes.grid": True, "grid.alpha": 0.3}):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set(ylabel="validation accuracy", ylim=_upper_part(trials))
        axes.legend(loc="lower right")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
