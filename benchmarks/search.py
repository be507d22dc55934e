"""Samplers and pruners at equal epochs trained, over seeds: tables for docs/search.md, and a figure a study there.

    python -m benchmarks.search             # hours; what search.csv already holds is not run again
    python -m benchmarks.search --quick     # a minute, its figures into a temporary folder

A study is run until it has trained 1,000 epochs and told 100 trials. Its quality (best accuracy, or hypervolume)
after 1,000 epochs compares arms at equal effort; after 100 trials it says what pruning costs.
"""

import argparse
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from scipy.stats import t as student

from benchmarks import studies
from reprotune import params
from reprotune.artifacts import read_csv, write_csv
from reprotune.execution import engines
from reprotune.figures.style import BLUE, GREEN, ORANGE, VERMILION, save
from reprotune.results import best_so_far
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUALITY = {"single_objective": "best validation accuracy", "multi_objective": "hypervolume"}
PRUNER = {"single_objective": "median", "multi_objective": "pareto"}
COLOURS = {"tpe": BLUE, "gp": GREEN, "nsga2": ORANGE, "random": VERMILION}
WINDOW = 8


class Arm(NamedTuple):
    study: str
    sampler: str
    pruner: str
    window: int


class Point(NamedTuple):
    """A study after a trial that improved it, after its n-th trial or at its end."""

    trials: int
    epochs: int
    quality: float


class Size(NamedTuple):
    seeds: int
    trials: int
    epochs: int


Runs = Mapping[Arm, Mapping[int, Sequence[Point]]]  # arm → seed → its points


def arms(samplers: Iterable[str]) -> Iterator[Arm]:
    for study, sampler in product(QUALITY, samplers):
        yield Arm(study, sampler, "none", WINDOW)
        yield Arm(study, sampler, PRUNER[study], WINDOW)
    for study, window in product(QUALITY, (1, 4, 16)):
        yield Arm(study, "tpe", PRUNER[study], window)


def measure(arm: Arm, seed: int, size: Size) -> list[Point]:
    def enough(trials: Sequence[Trial]) -> bool:
        return len(trials) >= size.trials and sum(len(trial.result.curve) for trial in trials) >= size.epochs

    spec = studies.spec(arm.study, seed, arm.sampler, arm.pruner, arm.window)
    return list(_points(spec, studies.run(spec, enough), size))


def _points(spec: StudySpec, trials: Sequence[Trial], size: Size) -> Iterator[Point]:
    qualities = list(best_so_far.series(spec, trials).values())[-1]
    epochs = accumulate(len(trial.result.curve) for trial in trials)
    reached = -1.0
    for number, (at, quality) in enumerate(zip(epochs, qualities, strict=True), start=1):
        if quality > reached or number in (size.trials, len(trials)):
            yield Point(number, at, round(quality, 6))
        reached = quality


def collect(path: Path, chosen: Sequence[Arm], size: Size) -> Runs:
    """Run what `path` lacks, a study a core; each is written to it in its turn, as soon as it has ended."""
    runs: dict[Arm, dict[int, list[Point]]] = {arm: {} for arm in chosen}
    for row in read_csv(path) if path.exists() else []:
        arm = Arm(row["study"], row["sampler"], row["pruner"], int(row["window"]))
        point = Point(int(row["trials"]), int(row["epochs"]), float(row["quality"]))
        runs.setdefault(arm, {}).setdefault(int(row["seed"]), []).append(point)
    studies.dataset()
    with engines.started(params.load().execution) as pool:
        missing = [(seed, arm) for seed, arm in product(range(size.seeds), chosen) if seed not in runs[arm]]
        missing.sort(key=lambda run: run[1].sampler == "gp")  # which takes several times as long as all the others
        studied = [pool.submit(measure, arm, seed, size) for seed, arm in missing]
        for (seed, arm), points in zip(missing, studied, strict=True):
            runs[arm][seed] = points.result()
            rows = ((*a, s, *point) for a, seeds in runs.items() for s, points in seeds.items() for point in points)
            write_csv(path, (*Arm._fields, "seed", *Point._fields), rows)
            print(f"seed {seed}: {', '.join(map(str, arm))}: {runs[arm][seed][-1]}", flush=True)
    return runs


def after_epochs(points: Sequence[Point], epochs: int) -> float:
    """The quality that the trials within the first `epochs` epochs reached."""
    return max((point.quality for point in points if point.epochs <= epochs), default=0.0)


def after_trials(points: Sequence[Point], trials: int) -> Point:
    return next(point for point in points if point.trials == trials)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % confidence interval (Student's)."""
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.fmean(values), float(half)


def report(folder: Path, runs: Runs, size: Size) -> None:
    """Print the tables; write search_single_objective.svg and search_multi_objective.svg."""
    for study, quality in QUALITY.items():
        own = {arm: seeds for arm, seeds in runs.items() if arm.study == study}
        print(
            f"\n{study}, {size.seeds} seeds, mean ± 95 % confidence interval\n", *_table(own, quality, size), sep="\n"
        )
        save(folder / f"search_{study}.svg", partial(_draw, own, quality, size))


def _table(runs: Runs, quality: str, size: Size) -> Iterator[str]:
    yield (
        f"| sampler | pruner | window | {quality} after {size.epochs} epochs | seeds ahead of random: unpruned, pruned "
        f"| {quality} after {size.trials} trials, over the unpruned | epochs saved by then |"
    )
    yield "|---|---|---|---|---|---|---|"
    for arm, seeds in runs.items():
        unpruned = runs[arm._replace(pruner="none", window=WINDOW)]
        pairs = [(after_trials(seeds[s], size.trials), after_trials(unpruned[s], size.trials)) for s in seeds]
        reached = cell([after_epochs(points, size.epochs) for points in seeds.values()])
        kept = cell([own.quality / other.quality for own, other in pairs])
        saved = statistics.fmean(1 - own.epochs / other.epochs for own, other in pairs)
        ahead = ", ".join(str(wins) for wins in _wins(arm, runs, size))
        yield f"| {arm.sampler} | {arm.pruner} | {arm.window} | {reached} | {ahead} | {kept} | {saved:.0%} |"


def cell(values: Sequence[float], sign: str = "") -> str:
    """`interval` as a table shows it. sign: "+" for differences."""
    mean, half = interval(values)
    return f"{mean:{sign}.4f} ± {half:.4f}"


def _wins(arm: Arm, runs: Runs, size: Size) -> Iterator[int]:
    """Seeds in which it is ahead of random search at equal epochs: without pruning, and with."""
    for pruner in ("none", PRUNER[arm.study]):
        random = runs[Arm(arm.study, "random", pruner, WINDOW)]
        pairs = ((runs[arm][seed], random[seed]) for seed in runs[arm])
        yield sum(after_epochs(own, size.epochs) > after_epochs(other, size.epochs) for own, other in pairs)


def _draw(runs: Runs, quality: str, size: Size, axes: "Axes") -> None:
    grid = range(size.epochs // 5, size.epochs + 1, max(1, size.epochs // 100))
    for arm, seeds in runs.items():
        if arm.window == WINDOW:
            means, halves = zip(*(interval([after_epochs(p, at) for p in seeds.values()]) for at in grid), strict=True)
            low, high = ([m + sign * half for m, half in zip(means, halves, strict=True)] for sign in (-1, 1))
            axes.fill_between(grid, low, high, color=COLOURS[arm.sampler], alpha=0.1, linewidth=0)
            style = "--" if arm.pruner == "none" else "-"
            axes.plot(grid, means, style, color=COLOURS[arm.sampler], label=f"{arm.sampler}, {arm.pruner}")
    axes.set(title=f"{quality}, mean and 95 % interval of {size.seeds} seeds", xlabel="epochs trained", ylabel=quality)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two samplers, two seeds, short studies")
    if parser.parse_args().quick:
        size, chosen = (
            Size(seeds=2, trials=3, epochs=30),
            [arm for arm in arms(("tpe", "random")) if arm.window == WINDOW],
        )
        with TemporaryDirectory() as folder:
            report(Path(folder), collect(Path(folder) / "search.csv", chosen, size), size)
    else:
        size = Size(seeds=10, trials=100, epochs=1000)
        report(Path("docs"), collect(Path(__file__).with_name("search.csv"), list(arms(COLOURS)), size), size)


if __name__ == "__main__":
    main()
