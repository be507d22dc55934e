"""How a winner's test accuracy is told: {mean, std, n} over its seeds, {mean, n} of one, which has no deviation."""

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
