"""How a winner's test accuracy is told: {mean, std, n} over its seeds, {mean, n} of one, which has no deviation."""

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
