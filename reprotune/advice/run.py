"""What the checks read: the result files of a run, with the params and the data that it was made of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reprotune.artifacts import read_csv, read_json
from reprotune.data.images import SPLITS
from reprotune.data.metric import told
from reprotune.data.stored import CLASS_BALANCE, StoredDataset
from reprotune.params import Declared, Params
from reprotune.results import read
from reprotune.results.importances import key
from reprotune.results.winners import first_accuracy
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial
from reprotune.training.models import Config

Balance = Mapping[str, Mapping[str, int]]  # split → class → how many images


class Advice(NamedTuple):
    """A sentence each."""

    seen: str
    why: str  # it matters
    change: str  # which key of params.yaml

    def __str__(self) -> str:
        return " ".join(self)


@dataclass(frozen=True)
class Study:
    """A study as its result files have it."""

    spec: StudySpec
    trials: Sequence[Trial]
    stopped_by: str
    params: Params
    balance: Balance

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def length(self) -> str:
        """The key that says how long it goes on."""
        return f"{self.name}.{'n_trials' if self.stopped_by == 'exhausted' else self.stopped_by}"

    @property
    def score(self) -> str:
        """What a trial's accuracy is, for a sentence."""
        return f"{'an' if self.spec.metric == 'accuracy' else 'a'} {told(self.spec.metric)}"

    @property
    def ranked(self) -> list[Trial]:
        """The complete trials, the most accurate first."""
        done = (trial for trial in self.trials if trial.result.state == "COMPLETE")
        return sorted(done, key=lambda trial: (-first_accuracy(trial), trial.number))

    @property
    def top(self) -> list[Trial]:
        """The most accurate tenth, five at least; none where there are too few to say what the best have in common."""
        ranked = self.ranked
        return ranked[: max(5, len(ranked) // 10)] if len(ranked) >= 20 else []

    @property
    def images(self) -> int:
        """How many there are to validate."""
        return sum(self.balance["valid"].values())

    @property
    def standard_error(self) -> float:
        """Of the best trial's accuracy, by the number of validation images."""
        return self.spec.standard_error(first_accuracy(self.ranked[0]))

    def declared(self, name: str) -> tuple[str, Declared]:
        """The key and the range of a config's hyperparameter in the search space."""
        return (found := key(self.spec.space, name)), self.spec.space[found]


@dataclass(frozen=True)
class Run:
    params: Params
    studies: Sequence[Study]
    best: Config  # that was evaluated
    scores: Mapping[str, Any]  # evaluation/metrics.json
    balance: Balance


def points(share: float) -> str:
    """A difference of accuracies: 0.0123 is 1.2 points."""
    return f"{100 * share:.1f}" if abs(share) >= 0.01 else f"{100 * share:.2f}"


def read_run(params: Params, dataset: StoredDataset) -> Run:
    """Raises UserError if the result files are those of other params or data."""
    rows = read_csv(dataset.folder / CLASS_BALANCE)
    balance: Balance = {split: {row["class"]: int(row[split]) for row in rows} for split in SPLITS}
    scores = read_json(Path("results/evaluation/metrics.json"))
    return Run(params, list(_studies(params, dataset, balance)), read.best_params(), scores, balance)


def _studies(params: Params, dataset: StoredDataset, balance: Balance) -> Iterator[Study]:
    for spec in read.read_studies(params, dataset):
        stopped_by = read_json(spec.folder / "metrics.json")["stopped_by"]
        yield Study(spec, read.read_trials(spec.folder, spec), stopped_by, params, balance)
