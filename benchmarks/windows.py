"""What a window of 64 costs a search of 100 trials: the studies of params.yaml with 8, as they are, and with 64.

    python -m benchmarks.windows            # an hour; what windows.csv already holds is not run again
    python -m benchmarks.windows --quick    # a minute, into a temporary folder

Each seed is run with both, so that the differences are of pairs.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import studies
from benchmarks.search import QUALITY, cell
from reprotune import params
from reprotune.artifacts import read_csv, write_csv
from reprotune.execution import engines
from reprotune.results import best_so_far
from reprotune.search.study import declaration

NARROW, WIDE = 8, 64


class Run(NamedTuple):
    study: str
    window: int
    seed: int
    epochs: int
    quality: float


def measure(study: str, window: int, seed: int, n_trials: int) -> Run:
    declared = declaration.from_params(params.load(), study, studies.dataset())
    spec = replace(declared, seed=seed, window=window, n_trials=n_trials, timeout=None)
    trials = studies.run(spec, lambda told: len(told) == n_trials)
    quality = list(best_so_far.series(spec, trials).values())[-1][-1]
    return Run(study, window, seed, sum(len(trial.result.curve) for trial in trials), round(quality, 6))


def collect(path: Path, seeds: int, n_trials: int) -> list[Run]:
    """Run what `path` lacks, a study a core; each is written to it as soon as it has ended."""
    runs = [_parsed(row) for row in read_csv(path)] if path.exists() else []
    known = {(run.study, run.window, run.seed) for run in runs}
    missing = [key for key in product(QUALITY, (WIDE, NARROW), range(seeds)) if key not in known]
    studies.dataset()
    with engines.started(params.load().execution) as pool:
        for future in [pool.submit(measure, *key, n_trials) for key in missing]:
            runs.append(future.result())
            write_csv(path, Run._fields, runs)
            print(runs[-1], flush=True)
    return runs


def _parsed(row: dict[str, str]) -> Run:
    return Run(row["study"], int(row["window"]), int(row["seed"]), int(row["epochs"]), float(row["quality"]))


def report(runs: Sequence[Run]) -> Iterator[str]:
    yield f"| study | window | what was reached | over a window of {NARROW} | better, worse | epochs trained |"
    yield "|---|---|---|---|---|---|"
    for study, window in product(QUALITY, (NARROW, WIDE)):
        own, narrow = ({r.seed: r for r in runs if (r.study, r.window) == (study, w)} for w in (window, NARROW))
        gains = [own[seed].quality - narrow[seed].quality for seed in own]
        signs = f"{sum(gain > 0 for gain in gains)}, {sum(gain < 0 for gain in gains)}"
        paired = (cell(gains, "+"), signs) if window != NARROW else ("", "")
        epochs = f"{statistics.fmean(run.epochs for run in own.values()):.0f}"
        cells = (study, str(window), cell([run.quality for run in own.values()]), *paired, epochs)
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two seeds, short studies")
    if parser.parse_args().quick:
        with TemporaryDirectory() as folder:
            runs = collect(Path(folder) / "windows.csv", seeds=2, n_trials=4)
    else:
        runs = collect(Path(__file__).with_name("windows.csv"), seeds=10, n_trials=100)
    print(*report(runs), sep="\n")


if __name__ == "__main__":
    main()
