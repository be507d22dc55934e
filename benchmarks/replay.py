"""Pruning rules on recorded learning curves: what each saves and what it loses, without training.

    python -m benchmarks.replay                          # the digits' studies as they were told, a line a rule
    python -m benchmarks.replay fashion_mlp --draws 30   # trials drawn from its study, in an order by chance

A rule sees what a worker would: the trials told when its own was asked, each as far as the rule let it come. What
it cannot show is that a sampler that sees pruned trials proposes others: benchmarks/search.py does.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import curves
from benchmarks.curves import WINDOW, Recorded
from benchmarks.rules import FIRST, SECOND, Rule
from reprotune.search.pareto import Point, hypervolume

DRAWN = 0.75  # of a study's trials


class Score(NamedTuple):
    saved: float  # share of the epochs
    gap: float  # between the best accuracy of all trials and of those that were trained to their end
    kept: float  # share of the hypervolume


def score(recorded: Recorded, rule: Rule, window: int) -> Score:
    trials = recorded.trials
    trained = rule(trials, window)
    ends = [(cost, accuracies[-1]) for cost, accuracies in trials]
    whole = [end for end, (_, accuracies), e in zip(ends, trials, trained, strict=True) if e == len(accuracies)]
    reference: Point = (recorded.costliest, 0.0)
    return Score(
        1 - sum(trained) / sum(len(accuracies) for _, accuracies in trials),
        max(accuracy for _, accuracy in ends) - max((accuracy for _, accuracy in whole), default=0.0),
        hypervolume(whole, reference) / hypervolume(ends, reference),
    )


def drawn(studies: Sequence[Recorded], draws: int) -> Iterator[Recorded]:
    """Of each study in its turn a part of its trials, in an order by chance; without draws, the studies as they are."""
    if not draws:
        yield from studies
    for draw in range(draws):
        trials, costliest = studies[draw % len(studies)]
        order = np.random.default_rng(draw).permutation(len(trials))[: round(DRAWN * len(trials))]
        yield Recorded([trials[i] for i in order], costliest)


def show(studies: Sequence[Recorded], window: int) -> None:
    sizes = {len(study.trials) for study in studies}
    print(f"{len(studies)} studies of {min(sizes)} to {max(sizes)} trials, window {window}; mean (worst)")
    print(f"{'first study':<44}{'epochs saved':>18}{'gap to the best':>20}")
    for name, rule in FIRST.items():
        scores = [score(study, rule, window) for study in studies]
        gaps = [one.gap for one in scores]
        print(f"{name:<44}{_saved(scores):>18}{f'{statistics.fmean(gaps):.4f} ({max(gaps):.4f})':>20}", flush=True)
    print(f"{'second study':<44}{'epochs saved':>18}{'hypervolume kept':>20}")
    for name, rule in SECOND.items():
        scores = [score(study, rule, window) for study in studies]
        kept = [one.kept for one in scores]
        print(f"{name:<44}{_saved(scores):>18}{f'{statistics.fmean(kept):.4f} ({min(kept):.4f})':>20}", flush=True)


def _saved(scores: Sequence[Score]) -> str:
    saved = [one.saved for one in scores]
    return f"{statistics.fmean(saved):.1%} ({min(saved):.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="digits", choices=curves.SOURCES)
    parser.add_argument("--draws", type=int, default=0)
    parser.add_argument("--window", type=int, default=WINDOW)
    arguments = parser.parse_args()
    recorded = curves.read(curves.path_of(arguments.name))
    show(list(drawn(recorded, arguments.draws)), arguments.window)


if __name__ == "__main__":
    main()
