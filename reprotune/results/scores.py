"""How winners are told: their names, and test accuracies as {mean, std, n} over seeds, {mean, n} of one alone."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any


def of_seeds(accuracies: Sequence[float]) -> dict[str, Any]:
    """Mean, sample standard deviation, n."""
    spread = {"std": stdev(accuracies)} if len(accuracies) > 1 else {}
    return {"mean": fmean(accuracies), **spread, "n": len(accuracies)}


def told(score: Mapping[str, Any]) -> str:
    """0.9381 ± 0.0020"""
    return f"{score['mean']:.4f}" + (f" ± {score['std']:.4f}" if "std" in score else "")


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
