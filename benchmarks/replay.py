"""Pruning rules on recorded studies: what each saves and what it loses, in seconds, without training.

    python -m benchmarks.replay --record    # makes curves.csv.gz: 10 unpruned multi-objective studies
    python -m benchmarks.replay             # a line a rule

A rule sees what a worker would: the trials told when its own was asked, each as far as the rule let it come. What
it cannot show is that a sampler that sees pruned trials proposes others: benchmarks/search.py does.
"""

import argparse
import csv
import gzip
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from optuna.pruners import BasePruner, MedianPruner

from benchmarks import studies
from reprotune import params
from reprotune.artifacts import atomic_write
from reprotune.execution import engines
from reprotune.results import winners
from reprotune.search.history import PastTrial, frozen_trials
from reprotune.search.pareto import Point, hypervolume
from reprotune.search.pruners import ParetoPruner, TrialPruner

RECORDED = Path(__file__).with_name("curves.csv.gz")


class Rule(NamedTuple):
    pruner: Callable[[], BasePruner]
    compared: Callable[[float, float], bool]  # (cost of another trial, own cost) → whether it is compared with it


RULES = {
    **{f"pareto, margin {m}": Rule(partial(ParetoPruner, m), lambda other, own: True) for m in (0, 0.01, 0.02, 0.03)},
    "median of what costs no more": Rule(MedianPruner, lambda other, own: other <= own),
    "median of half to twice the cost": Rule(MedianPruner, lambda other, own: own / 2 <= other <= own * 2),
    "median of all": Rule(MedianPruner, lambda other, own: True),
}


class Recorded(NamedTuple):
    """A study's trials (cost, accuracies), and the cost of its hypervolume's reference point."""

    trials: Sequence[tuple[float, tuple[float, ...]]]
    costliest: float


def record(path: Path, seeds: int, n_trials: int, window: int) -> None:
    """Train the studies, and write a row a trial."""
    rows: list[tuple[str, ...]] = [("seed", "costliest", "cost", "accuracies")]
    studies.dataset()
    with engines.started(params.load().execution) as pool:
        for recorded in [pool.submit(_recorded, seed, n_trials, window) for seed in range(seeds)]:
            rows += recorded.result()
            print(f"seed {rows[-1][0]}: recorded", flush=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress("".join(f"{','.join(row)}\n" for row in rows).encode(), mtime=0))


def _recorded(seed: int, n_trials: int, window: int) -> list[tuple[str, ...]]:
    spec = studies.spec("multi_objective", seed, "tpe", "none", window)
    rows: list[tuple[str, ...]] = []
    for trial in winners.complete(studies.run(spec, lambda trials: len(trials) == n_trials)):
        accuracies = " ".join(f"{point.valid_accuracy:.6g}" for point in trial.result.curve)
        rows.append((str(seed), str(spec.reference_point[0]), str(winners.point(trial)[0]), accuracies))
    return rows


def read(path: Path) -> list[Recorded]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        own = [row for row in rows if row["seed"] == seed]
        trials = [(float(row["cost"]), tuple(map(float, row["accuracies"].split()))) for row in own]
        found.append(Recorded(trials, float(own[0]["costliest"])))
    return found


def replay(name: str, recorded: Recorded, window: int) -> tuple[float, float]:
    """(share of the epochs that the rule saves, share of the hypervolume that is kept)."""
    past: list[PastTrial] = []
    for number, (cost, accuracies) in enumerate(recorded.trials):
        told = past[: max(0, number - window + 1)]
        compared = [other for other in told if RULES[name].compared(other.cost or 0.0, cost)]
        epochs = len(accuracies)
        judge = TrialPruner(RULES[name].pruner(), frozen_trials(compared), number, cost, epochs)
        judged = enumerate(accuracies[:-1], start=1)
        ended = next((epoch for epoch, accuracy in judged if judge.should_prune(epoch, accuracy)), epochs)
        past.append(PastTrial("COMPLETE" if ended == epochs else "PRUNED", accuracies[:ended], cost, {}))
    trained = sum(len(trial.accuracies) for trial in past)
    whole = sum(len(accuracies) for _, accuracies in recorded.trials)
    kept = [(trial.cost or 0.0, trial.accuracies[-1]) for trial in past if trial.state == "COMPLETE"]
    reference: Point = (recorded.costliest, 0.0)
    reached = hypervolume([(cost, accuracies[-1]) for cost, accuracies in recorded.trials], reference)
    return 1 - trained / whole, hypervolume(kept, reference) / reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="train the studies instead")
    parser.add_argument("--quick", action="store_true", help="record two short studies, and replay these")
    parser.add_argument("--window", type=int, default=8)
    arguments = parser.parse_args()
    if arguments.quick:
        with TemporaryDirectory() as folder:
            path = Path(folder) / RECORDED.name
            record(path, seeds=2, n_trials=12, window=2)
            show(read(path), window=2)
    elif arguments.record:
        record(RECORDED, seeds=10, n_trials=100, window=arguments.window)
    else:
        show(read(RECORDED), arguments.window)


def show(recorded: Sequence[Recorded], window: int) -> None:
    print(f"{len(recorded)} studies, window {window}; mean (least)")
    print(f"{'rule':<34}{'epochs saved':>18}{'hypervolume kept':>20}")
    for name in RULES:
        saved, kept = zip(*(replay(name, study, window) for study in recorded), strict=True)
        epochs = f"{statistics.fmean(saved):.1%} ({min(saved):.1%})"
        volume = f"{statistics.fmean(kept):.4f} ({min(kept):.4f})"
        print(f"{name:<34}{epochs:>18}{volume:>20}", flush=True)


if __name__ == "__main__":
    main()
