"""Which trial to choose: rules compared on the test accuracy of what they choose, at equal epochs in all.

    python -m benchmarks.finalists            # an hour; what finalists.csv already holds is not run again
    python -m benchmarks.finalists --quick    # a minute, into a temporary folder

The first study of params.yaml is run with each seed. A rule that trains finalists again gives up trials for it: it
sees the first ones alone, as many as leave enough epochs. What a rule chooses is trained on train + valid, and so is
the untuned default, as the stage evaluate does.
"""

import argparse
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from benchmarks import studies
from reprotune import params
from reprotune.artifacts import read_csv, write_csv
from reprotune.data import datasets
from reprotune.data.images import Split
from reprotune.data.stored import StoredDataset
from reprotune.execution import engines
from reprotune.search.space import default_config
from reprotune.search.study import declaration
from reprotune.search.study.seeds import seeds
from reprotune.search.study.spec import StudySpec
from reprotune.training.fit import fit, learning_curve, new_model, score
from reprotune.training.models import Config

DEFAULT = -1  # the number of the default config
TESTS = 5  # trainings on train + valid
LAST = 5  # epochs of a curve that are kept
SEEDS = {"mnist_5k": range(100, 120), "fashion_mnist": range(5)}
FASHION = {"dataset": "fashion_mnist", "train_examples": 10_000, "valid_examples": 2_000}


class Recorded(NamedTuple):
    """A trial: what was trained of it, and what it was worth."""

    dataset: str
    seed: int
    number: int
    epochs: int
    last: tuple[float, ...]  # validation accuracies of its last epochs; none if it is not complete
    repeats: tuple[float, ...] = ()  # validation accuracies of further trainings
    tests: tuple[float, ...] = ()  # test accuracies of trainings on train + valid


class Rule(NamedTuple):
    """The `best` by the mean of their `last` epochs are trained `repeats` times more."""

    best: int = 1
    repeats: int = 0
    last: int = 1
    over: str = "all"  # the winner is the one with the best mean over all its trainings, or over the repeats alone


SINGLE = Rule()
RULES = (
    SINGLE,
    *(Rule(last=last) for last in (2, 3, 5)),
    *(Rule(best, repeats, over=over) for best, repeats in ((5, 1), (5, 2), (10, 1)) for over in ("all", "repeats")),
    Rule(5, 2, last=3),
)
Study = Mapping[int, Recorded]  # by number


def ranked(rule: Rule, trials: Sequence[Recorded]) -> list[Recorded]:
    """The complete ones, the best first."""
    found = [trial for trial in trials if trial.last]
    return sorted(found, key=lambda trial: (-statistics.fmean(trial.last[-rule.last :]), trial.number))


def finalists(rule: Rule, study: Study) -> list[Recorded]:
    """Of as many of its first trials as leave the epochs that the finalists take."""
    trials = [study[number] for number in sorted(study) if number != DEFAULT]
    budget = sum(trial.epochs for trial in trials)
    for count in range(len(trials), 0, -1):
        found = ranked(rule, trials[:count])[: rule.best]
        extra = rule.repeats * sum(trial.epochs for trial in found)
        if sum(trial.epochs for trial in trials[:count]) + extra <= budget and found:
            return found
    raise ValueError("no trial is complete")


def winner(rule: Rule, study: Study) -> Recorded:
    def mean(trial: Recorded) -> float:
        repeats = trial.repeats[: rule.repeats]
        first = statistics.fmean(trial.last[-rule.last :])
        return statistics.fmean(repeats if rule.over == "repeats" else (first, *repeats))

    return max(finalists(rule, study), key=lambda trial: (mean(trial), -trial.number))


def study_spec(name: str, seed: int, n_trials: int) -> StudySpec:
    chosen = params.load()
    return replace(
        declaration.from_params(chosen, "single_objective", dataset(name)), seed=seed, n_trials=n_trials, timeout=None
    )


def dataset(name: str) -> StoredDataset:
    """Made if it is missing: before workers look for it."""
    if name == "mnist_5k":
        return studies.dataset()
    folder = Path("data/finalists") / name
    if not folder.exists():
        datasets.download(params.load().data.model_copy(update=FASHION), 0, folder)
    return StoredDataset(folder)


def measure(name: str, seed: int, n_trials: int) -> list[Recorded]:
    """A study, and the further trainings that the rules need to be told apart."""
    spec = study_spec(name, seed, n_trials)
    configs: dict[int, Config] = {DEFAULT: default_config(params.load())}
    study: dict[int, Recorded] = {DEFAULT: Recorded(name, seed, DEFAULT, 0, ())}
    for told in studies.run(spec, lambda trials: len(trials) == n_trials):
        accuracies = tuple(_short(point.valid_accuracy) for point in told.result.curve)
        last = accuracies[-LAST:] if told.result.state == "COMPLETE" else ()
        configs[told.number] = told.config
        study[told.number] = Recorded(name, seed, told.number, len(accuracies), last)
    repeats: defaultdict[int, int] = defaultdict(int)
    for rule in RULES:
        for trial in finalists(rule, study):
            repeats[trial.number] = max(repeats[trial.number], rule.repeats)
    for number, n in repeats.items():
        again = tuple(validated(spec, number, configs[number], repeat) for repeat in range(n))
        study[number] = study[number]._replace(repeats=again)
    for number in {DEFAULT, *(winner(rule, study).number for rule in RULES)}:
        study[number] = study[number]._replace(tests=tuple(tested(spec, configs[number], n) for n in range(TESTS)))
    return [study[number] for number in sorted(study)]


def validated(spec: StudySpec, number: int, config: Config, repeat: int) -> float:
    """The validation accuracy of a training on train."""
    seed = seeds(spec.seed, spec.name, number, repeat)[1]
    train, valid = (spec.dataset.load(split, "cpu") for split in ("train", "valid"))
    model = new_model(config, spec.dataset.inputs, seed)
    return _short(list(learning_curve(model, config, train, valid, seed))[-1].valid_accuracy)


def tested(spec: StudySpec, config: Config, repeat: int) -> float:
    """The test accuracy of a training on train + valid."""
    seed = seeds(spec.seed, "evaluate", repeat)[1]
    train, valid = (spec.dataset.load(split, "cpu") for split in ("train", "valid"))
    both = Split(torch.cat([train.images, valid.images]), torch.cat([train.labels, valid.labels]))
    model = new_model(config, spec.dataset.inputs, seed)
    for _ in fit(model, config, both, seed):
        pass
    return score(model, spec.dataset.load("test", "cpu"))[1]


def collect(path: Path, chosen: Mapping[str, Sequence[int]], n_trials: int) -> dict[tuple[str, int], Study]:
    """Run what `path` lacks; each study is written to it as soon as it has ended."""
    rows = [_parsed(row) for row in read_csv(path)] if path.exists() else []
    known = {(row.dataset, row.seed) for row in rows}
    missing = [(name, seed) for name, of in chosen.items() for seed in of if (name, seed) not in known]
    for name in dict.fromkeys(name for name, _ in missing):
        dataset(name)
    with engines.started(params.load().execution) as pool:
        for (name, seed), future in [(key, pool.submit(measure, *key, n_trials)) for key in missing]:
            rows += future.result()
            write_csv(path, Recorded._fields, map(_cells, rows))
            print(f"{name}, seed {seed}: recorded", flush=True)
    found: defaultdict[tuple[str, int], dict[int, Recorded]] = defaultdict(dict)
    for row in rows:
        found[row.dataset, row.seed][row.number] = row
    return dict(found)


def _short(value: float) -> float:
    """As the csv has it, so that equals are equal there too."""
    return float(f"{value:.6g}")


def _cells(row: Recorded) -> list[object]:
    return [" ".join(f"{value:.6g}" for value in cell) if isinstance(cell, tuple) else cell for cell in row]


def _parsed(row: Mapping[str, str]) -> Recorded:
    lists = (tuple(map(float, row[name].split())) for name in ("last", "repeats", "tests"))
    return Recorded(row["dataset"], int(row["seed"]), int(row["number"]), int(row["epochs"]), *lists)


def report(recorded: Mapping[tuple[str, int], Study]) -> None:
    for name in dict.fromkeys(name for name, _ in recorded):
        own = [study for (of, _), study in recorded.items() if of == name]
        print(f"\n{name}, {len(own)} seeds: test accuracy of what is chosen\n", *_table(own), sep="\n")


def _table(own: Sequence[Study]) -> Iterator[str]:
    yield "| the best | repeats | last epochs | mean over | test | over single best | better, worse | below default |"
    yield "|---|---|---|---|---|---|---|---|"
    single = [_test(winner(SINGLE, study)) for study in own]
    default = [_test(study[DEFAULT]) for study in own]
    yield f"| the default | | | | {statistics.fmean(default):.4f} | | | |"
    for rule in RULES:
        tests = [_test(winner(rule, study)) for study in own]
        gains = [round(one - other, 6) for one, other in zip(tests, single, strict=True)]
        better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
        error = statistics.stdev(gains) / math.sqrt(len(gains))
        below = sum(one < other for one, other in zip(tests, default, strict=True))
        cells = (*rule, f"{statistics.fmean(tests):.4f}", f"{100 * statistics.fmean(gains):+.2f} ± {100 * error:.2f}")
        yield "| " + " | ".join(map(str, (*cells, f"{better}, {worse}", below))) + " |"


def _test(trial: Recorded) -> float:
    """Without the last bits, so that equals are equal."""
    return round(statistics.fmean(trial.tests), 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two short studies of the digits")
    if parser.parse_args().quick:
        with TemporaryDirectory() as folder:
            report(collect(Path(folder) / "finalists.csv", {"mnist_5k": range(2)}, n_trials=12))
    else:
        report(collect(Path(__file__).with_name("finalists.csv"), SEEDS, n_trials=100))


if __name__ == "__main__":
    main()
