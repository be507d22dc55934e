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
