"""A study → its figures, each of them one function of FIGURES."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune.data.metric import told
from reprotune.figures.parallel_coordinates import draw_parallel_coordinates
from reprotune.figures.pareto_front import Front, draw_pareto_front
from reprotune.figures.style import (
    BLUE,
    COLOURS,
    GREEN,
    MARKERS,
    ORANGE,
    TrialPoint,
    mark_clipped,
    on_valid,
    save,
    scatter,
    upper_part,
)
from reprotune.results.best_so_far import best_accuracies, hypervolumes
from reprotune.results.importances import importances, of_study
from reprotune.results.winners import best, complete, pareto_front, standing
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[[StudySpec, Sequence[Trial], "Axes"], None]
_MOST = 8  # hyperparameters that a figure has room for


def write(folder: Path, spec: StudySpec, trials: Sequence[Trial]) -> None:
    figures = {**FIGURES, **FIGURES_WITH_COST} if spec.cost else FIGURES
    for name, draw in figures.items():
        save(folder / f"{name}.svg", partial(draw, spec, trials))


def front(spec: StudySpec, trials: Sequence[Trial]) -> Front:
    """The trials that have an accuracy over what they cost, and the front among them."""
    drawn = [(trial.result.state, trial.result.value(str(spec.cost)), trial.result.accuracy) for trial in trials]
    points = [TrialPoint(state, x, y) for state, x, y in drawn if x is not None and y is not None]
    optimal = [standing(trial) for trial in pareto_front(spec, trials)]
    return Front(str(spec.cost), points, optimal, spec.floor, spec.metric)


def _optimization_history(spec: StudySpec, trials: Sequence[Trial], axes: "Axes") -> None:
    drawn = [(t.result.state, t.number, t.result.accuracy) for t in trials]
    points = [TrialPoint(state, number, y) for state, number, y in drawn if y is not None]
    scatter(axes, points)
    reached = best_accuracies(trials)
    axes.step(range(len(reached)), reached, where="post", color="black", linewidth=1, label="best so far")
    axes.set(title="Optimization history", xlabel="trial", ylabel=on_valid(spec.metric), ylim=_limits(trials))
    mark_clipped(axes, points)


def _learning_curves(spec: StudySpec, trials: Sequence[Trial], axes: "Axes") -> None:
    for state, colour in COLOURS.items():
        style: dict[str, Any] = {"color": colour, "marker": MARKERS[state], "markersize": 4, "linewidth": 0.8}
        curves = [[point.valid_accuracy for point in t.result.curve] for t in trials if t.result.state == state]
        for curve in filter(None, curves):
            axes.plot(range(1, len(curve) + 1), curve, **style, alpha=0.6, markevery=[-1])
        if any(curves):
            axes.plot([], [], **style, label=state.lower())
    axes.set(title="Learning curves", xlabel="epoch", ylabel=on_valid(spec.metric), ylim=_limits(trials))
    axes.locator_params(axis="x", integer=True)
    ends = [(t.result.state, len(t.result.curve), t.result.accuracy) for t in trials]
    mark_clipped(axes, [TrialPoint(state, epochs, y) for state, epochs, y in ends if y is not None])


def _best_learning_curve(spec: StudySpec, trials: Sequence[Trial], axes: "Axes") -> None:
    winner = best(trials)
    epochs = range(1, len(winner.result.curve) + 1)
    train, valid, accuracies = zip(*winner.result.curve, strict=True)
    axes.plot(epochs, train, color=ORANGE, marker="o", markersize=4, label="training loss")
    axes.plot(epochs, valid, color=BLUE, marker="o", markersize=4, label="validation loss")
    axes.set(title=f"Learning curve of trial {winner.number}", xlabel="epoch", ylabel="cross entropy (nats)")
    axes.set_ylim(0, None)
    axes.locator_params(axis="x", integer=True)
    right = axes.twinx()
    right.plot(epochs, accuracies, color=GREEN, marker="s", markersize=4)
    right.set(ylabel=on_valid(spec.metric))
    right.grid(visible=False)
    axes.plot([], [], color=GREEN, marker="s", markersize=4, label=f"{on_valid(spec.metric)} (right)")


def _pruning(_: StudySpec, trials: Sequence[Trial], axes: "Axes") -> None:
    trained = list(accumulate(len(trial.result.curve) for trial in trials))
    whole = list(accumulate(_epochs_without_pruning(trial) for trial in trials))
    axes.plot(whole, color=ORANGE, label="without pruning")
    axes.plot(trained, color=BLUE, label="trained")
    axes.fill_between(range(len(trials)), trained, whole, color=ORANGE, alpha=0.2, linewidth=0)
    share = 1 - trained[-1] / whole[-1] if whole[-1] else 0.0
    axes.set(title=f"Pruning saved {share:.0%} of the epochs", xlabel="trial", ylabel="epochs, all trials so far")
    axes.set_ylim(0, None)


def _epochs_without_pruning(trial: Trial) -> int:
    pruned = trial.result.state == "PRUNED" and not trial.result.untrained
    return trial.config["epochs"] if pruned else len(trial.result.curve)


def _importances(spec: StudySpec, trials: Sequence[Trial], axes: "Axes") -> None:
    found = {objective: of_study(spec, trials, objective) for objective in reversed(spec.objectives)}
    greatest = {name: max(shares.get(name, 0.0) for shares in found.values()) for name in found["accuracy"]}
    names = sorted(greatest, key=lambda name: -greatest[name])[:_MOST]
    height = 0.8 / len(found)
    for i, (objective, shares) in enumerate(found.items()):
        at = [row + i * height for row in range(len(names))]
        label = told(spec.metric) if objective == "accuracy" else objective
        axes.barh(at, [shares.get(name, 0.0) for name in names], height, label=label, color=(BLUE, ORANGE)[i])
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(names))], names)
    axes.invert_yaxis()
    axes.set(title="What decides each objective", xlabel="share of the importance (PED-ANOVA)")


def _parallel_coordinates(spec: StudySpec, trials: Sequence[Trial], axes: "Axes") -> None:
    names = list(importances(trials, "accuracy"))[:_MOST]
    finished = complete(trials)
    draw_parallel_coordinates(axes, finished, names, _limits(finished), spec.metric)


def _pareto_front(spec: StudySpec, trials: Sequence[Trial], axes: "Axes") -> None:
    drawn = front(spec, trials)
    draw_pareto_front(axes, drawn)
    mark_clipped(axes, drawn.points)


def _hypervolume(spec: StudySpec, trials: Sequence[Trial], axes: "Axes") -> None:
    volumes = hypervolumes(spec, trials)
    axes.step(range(len(volumes)), volumes, where="post", color=GREEN)
    title = "Hypervolume of the front"
    axes.set(title=title, xlabel="trial", ylabel="share of the box that is dominated", ylim=upper_part(volumes))


def _limits(trials: Sequence[Trial]) -> tuple[float, float]:
    return upper_part([trial.result.accuracy for trial in trials if trial.result.accuracy is not None])


FIGURES: Mapping[str, Draw] = {
    "optimization_history": _optimization_history,
    "learning_curves": _learning_curves,
    "best_learning_curve": _best_learning_curve,
    "pruning": _pruning,
    "importances": _importances,
    "parallel_coordinates": _parallel_coordinates,
}
FIGURES_WITH_COST: Mapping[str, Draw] = {"pareto_front": _pareto_front, "hypervolume": _hypervolume}
