"""Pareto front, knee and hypervolume for two objectives: cost, minimised, and accuracy, maximised."""

import math
from collections.abc import Sequence

Point = tuple[float, float]  # cost, accuracy


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other dominates, by rising cost; equal points are all on the front."""
    indices = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    kept: list[int] = []
    for i in indices:
        if not kept or points[i][1] > points[kept[-1]][1] or points[i] == points[kept[-1]]:
            kept.append(i)
    return kept


def extended(known: Sequence[Point], point: Point) -> list[Point]:
    """A front with one more point, without those that it dominates."""
    points = [*known, point]
    return [points[i] for i in front(points)]


def knee(points: Sequence[Point]) -> int:
    """Index of the front's point that stands highest above the straight line between the front's two ends.

    points: a front by rising cost. Cost on a log scale, both axes scaled to 0 … 1 between the ends; the
    cheapest of equals. (Satopaa et al. 2011, "Finding a kneedle in a haystack".)
    """
    (low, worst), (high, best) = points[0], points[-1]
    if low == high:
        return 0

    def height(point: Point) -> float:
        return (point[1] - worst) / (best - worst) - math.log(point[0] / low) / math.log(high / low)

    return max(range(len(points)), key=lambda i: (height(points[i]), -i))


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The share, 0 … 1, of the box between the reference point (highest cost, lowest accuracy) and the ideal
    (no cost, accuracy 1) that the points dominate.
    """
    costliest, floor = reference
    area, reached = 0.0, floor
    for cost, accuracy in (points[i] for i in front(points)):
        if cost < costliest and accuracy > reached:
            area += (costliest - cost) * (accuracy - reached)
            reached = accuracy
    box = costliest * (1 - floor)
    return area / box if box else 0.0
