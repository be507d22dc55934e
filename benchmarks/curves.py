"""Recorded learning curves: unpruned studies of two objectives, trained once, for rules to be replayed on.

    python -m benchmarks.curves digits                                       # 10 studies, a quarter of an hour
    python -m benchmarks.curves fashion_mlp --mirror /usr/share/datasets/fashion-mnist

A row a trial, in recorded/NAME.csv.gz: the study's seed, the cost of its space's largest model, the trial's cost and
its validation accuracy after each epoch. They are the first trials of the study that params.yaml or the preset
describes, on fewer images, and smaller nets where that is said; the digits' that are here were trained by 0.1.0, which
had other seeds and arithmetic.
"""

import argparse
import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple

from benchmarks import studies
from reprotune import params
from reprotune.artifacts import atomic_write
from reprotune.data import datasets, stored
from reprotune.errors import PARAMS
from reprotune.execution import engines
from reprotune.params import Data, Declared, IntRange, Params
from reprotune.results import winners
from reprotune.search.study import declaration

WINDOW = 8

Curve = tuple[float, tuple[float, ...]]  # a trial's cost, and its accuracy after each epoch
Row = tuple[str, ...]


class Source(NamedTuple):
    """Which studies are recorded: of these params, with so many images, in this smaller part of the search space."""

    params: Path
    seeds: int
    n_trials: int = 100
    data: Mapping[str, int] = MappingProxyType({})
    space: Mapping[str, Declared] = MappingProxyType({})

    def load(self, mirror: str | None) -> Params:
        declared = params.load(self.params)
        space = {**declared.multi_objective.search_space, **self.space}
        data = Data.model_validate({**declared.data.model_dump(), **self.data, "mirror": mirror})
        study = declared.multi_objective.model_copy(update={"search_space": space})
        return declared.model_copy(update={"data": data, "multi_objective": study})


def _channels(high: int, low: int) -> IntRange:
    return IntRange(type="int", low=low, high=high, log=True)


SOURCES = {
    "digits": Source(PARAMS, seeds=10),
    "fashion_mlp": Source(
        Path("presets/fashion-mlp.yaml"), seeds=1, data={"train_examples": 5_000, "valid_examples": 5_000}
    ),
    "fashion_cnn": Source(
        Path("presets/fashion-cnn.yaml"),
        seeds=1,
        n_trials=50,
        data={"train_examples": 3_000, "valid_examples": 3_000},
        space={"channels_1": _channels(8, 4), "channels_2": _channels(16, 8), "channels_3": _channels(32, 8)},
    ),
}


class Recorded(NamedTuple):
    """A study's trials, and the cost of its hypervolume's reference point."""

    trials: Sequence[Curve]
    costliest: float


def path_of(name: str) -> Path:
    return Path(__file__).parent / "recorded" / f"{name}.csv.gz"


def read(path: Path) -> list[Recorded]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        own = [row for row in rows if row["seed"] == seed]
        trials = [(float(row["cost"]), tuple(map(float, row["accuracies"].split()))) for row in own]
        found.append(Recorded(trials, float(own[0]["costliest"])))
    return found


def record(path: Path, source: Source, mirror: str | None) -> None:
    """Train the studies, and write a row a trial."""
    declared = source.load(mirror)
    rows: list[Row] = [("seed", "costliest", "cost", "accuracies")]
    with TemporaryDirectory() as folder, engines.started(params.load().execution) as pool:
        data = Path(folder) / "dataset"
        datasets.download(declared.data, declared.seed, data)
        for study in [pool.submit(rows_of, declared, data, seed, source.n_trials) for seed in range(source.seeds)]:
            rows += study.result()
            print(f"seed {rows[-1][0]}: recorded", flush=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress("".join(f"{','.join(row)}\n" for row in rows).encode(), mtime=0))


def rows_of(declared: Params, dataset: Path, seed: int, n_trials: int) -> list[Row]:
    study = declaration.from_params(declared, "multi_objective", stored.StoredDataset(dataset))
    spec = studies.changed(study, seed, "tpe", "none", WINDOW)
    rows: list[Row] = []
    for trial in winners.complete(studies.run(spec, lambda trials: len(trials) == n_trials)):
        accuracies = " ".join(f"{point.valid_accuracy:.6g}" for point in trial.result.curve)
        rows.append((str(seed), str(spec.reference_point[0]), str(winners.point(trial)[0]), accuracies))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SOURCES)
    parser.add_argument("--mirror", help="a folder or URL with the dataset's original files")
    arguments = parser.parse_args()
    record(path_of(arguments.name), SOURCES[arguments.name], arguments.mirror)


if __name__ == "__main__":
    main()
