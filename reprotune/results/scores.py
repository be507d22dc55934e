"""How winners are told: their names, and test accuracies as {mean, std, n} over seeds, {mean, n} of one alone."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any


def of_seeds(accuracies: Sequence[float]) -> dict[str, Any]:
    """Mean, sample standard deviation, n."""
    spread = {"std": stdev(accuracies)} if len(accuracies) > 1 else {}
    return {"mean": fmean(accuracies), **spread, "n": len(accuracies)}


def on_valid(config: Mapping[str, Any]) -> str:
    """A winner's accuracy on valid, as its config file has it, in the same way."""
    return told({name: config[f"accuracy_{name}"] for name in ("mean", "std") if f"accuracy_{name}" in config})


def certainty(metrics: Mapping[str, Any]) -> str:
    """How sure it is that a study's winner is the best, as its metrics.json has it; empty if nothing says so."""
    if "winner_probability" not in metrics:
        return ""
    accuracy, error = metrics["winner_accuracy"], metrics["winner_standard_error"]
    return (
        f"{accuracy:.4f} on valid (standard error {error:.4f}), the best of {metrics['finalists']} finalists "
        f"with a probability of {metrics['winner_probability']:.2f}"
    )


def told(score: Mapping[str, Any]) -> str:
    """0.9381 ± 0.0020"""
    return f"{score['mean']:.4f}" + (f" ± {score['std']:.4f}" if "std" in score else "")


def short(value: object) -> str:
    """A number that is not whole, to four digits; anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def titles(choices: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Winner → what it is called where those of best_configs.yaml that are the same trial are shown as one."""
    names: dict[int, list[str]] = {}
    for name, choice in choices.items():
        names.setdefault(choice["number"], []).append(name)
    return {same[0]: ", ".join(name.replace("_", " ") for name in same) for same in names.values()}


def cheaper(choices: Mapping[str, Mapping[str, Any]], scores: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each winner but the most accurate: title, points lost to that on valid and on test, cost saved."""
    rows = []
    most, *others = titles(choices).items()
    for name, title in others:
        on_test = scores[most[0]]["test_accuracy"]["mean"] - scores[name]["test_accuracy"]["mean"]
        lost = (f"{100 * share:.2f}" for share in (choices[name]["accuracy_lost"], on_test))
        rows.append((title, *lost, f"{choices[name]['cost_saved']:.1%}"))
    return rows
