"""The in-order window: ask → submit → tell.

Trial t is asked exactly when the trials numbered ≤ t − window have been told, in the order of their numbers,
and no others. So what is proposed depends on no worker's speed, and trial t on no later trial. A study is
always run from its first trial: what its journal already holds is replayed, and only the rest is trained.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from reprotune import bits
from reprotune.artifacts import digest, file_digest
from reprotune.datasets import StoredDataset
from reprotune.journal import Direction, Journal
from reprotune.models import Config
from reprotune.params import MultiObjective, Params, ParamsError, StudyParams
from reprotune.pruners import PRUNERS, Past
from reprotune.samplers import SAMPLERS, SINGLE_OBJECTIVE_ONLY
from reprotune.search_space import Space, complete, suggest
from reprotune.trial import Result, Task, run_trial

Objective = Literal["accuracy", "flops", "parameters"]
DIRECTIONS: Mapping[Objective, Direction] = {"accuracy": "maximize", "flops": "minimize", "parameters": "minimize"}

# The modules whose change makes another study.
_DECISIVE = (
    *("cost", "datasets", "models", "pareto", "pruners", "samplers"),
    *("search_space", "study", "training", "trial"),
)


@dataclass(frozen=True)
class Spec:
    """A study: all that its trials depend on, and how long it may go on."""

    name: str
    objectives: tuple[Objective, ...]
    space: Space
    sampler: str
    pruner: str
    seed: int
    window: int
    dataset: StoredDataset
    first: Config | None  # the config of trial 0, if it is given
    n_trials: int  # in all, also over resumes; so is the timeout
    timeout: float | None  # seconds

    @property
    def cost(self) -> Objective | None:
        """What a multi-objective study minimises."""
        return self.objectives[0] if len(self.objectives) > 1 else None

    @property
    def directions(self) -> list[Direction]:
        return [DIRECTIONS[objective] for objective in self.objectives]

    @cached_property
    def identity(self) -> str:
        """The digest of what determines the trials; two studies of one identity have the same trials."""
        space = {name: repr(declared) for name, declared in self.space.items()}
        declared = [self.name, self.objectives, space, self.sampler, self.pruner, self.seed, self.window, self.first]
        code = [file_digest(Path(__file__).with_name(f"{module}.py")) for module in _DECISIVE]
        return digest([declared, self.dataset.digest, code, bits.arithmetic()])

    @property
    def journal(self) -> Path:
        return Path("studies") / f"{self.name}-{self.identity[:12]}.log"


def spec(params: Params, name: str, dataset: StoredDataset, first: Config | None = None) -> Spec:
    """The study that the section `name` of params.yaml describes."""
    section: StudyParams = getattr(params, name)
    return Spec(
        name=name,
        objectives=(section.minimize, "accuracy") if isinstance(section, MultiObjective) else ("accuracy",),
        space=complete(params, section.search_space, name),
        sampler=section.sampler,
        pruner=section.pruner,
        seed=params.seed,
        window=params.execution.window,
        dataset=dataset,
        first=first,
        n_trials=section.n_trials,
        timeout=section.timeout,
    )


def check(params: Params) -> None:
    """Raise ParamsError for what the schema of params.yaml cannot know, in any section of it."""
    for name, section in (("single_objective", params.single_objective), ("multi_objective", params.multi_objective)):
        complete(params, section.search_space, name)
        several = isinstance(section, MultiObjective)
        samplers = [s for s in SAMPLERS if not (several and s in SINGLE_OBJECTIVE_ONLY)]
        pruners = ["none"] if several else list(PRUNERS)
        for key, value, known in (("sampler", section.sampler, samplers), ("pruner", section.pruner, pruners)):
            if value not in known:
                raise ParamsError(f"{name}.{key}", value, f"must be one of {', '.join(known)}")


@dataclass(frozen=True)
class Trial:
    """A told trial. `optuna`: as the journal keeps it, with its params, distributions, values and dates."""

    number: int
    config: Config
    result: Result
    elapsed: float  # seconds that the study had taken when it was told, over all its resumes
    optuna: FrozenTrial


def seeds(seed: int, number: int) -> tuple[int, int]:
    """(of the sampler, of the training) for one trial: independent streams for every seed and number."""
    sampler, training = np.random.SeedSequence([seed, number]).generate_state(2)
    return int(sampler), int(training)


def run(spec: Spec, journal: Journal, executor: Executor) -> Iterator[Trial]:
    """Run the study, or what the journal lacks of it; yield its trials, told in the order of their numbers."""
    window = _Window(spec, journal, executor)
    for number in count():
        told = window.tell(number - spec.window) if number >= spec.window else None
        asked = number < spec.n_trials and window.ask(number)
        if told:  # after the ask, so that no worker waits for what is done with it
            yield told
        if not asked:
            break
    for rest in range(max(0, number - spec.window + 1), number):
        yield window.tell(rest)


class _Window:
    """The study as its next ask may see it: in memory, kept in step with the journal."""

    def __init__(self, spec: Spec, journal: Journal, executor: Executor) -> None:
        self._spec, self._journal, self._executor = spec, journal, executor
        self._started = time.monotonic() - journal.elapsed
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(storage=self._storage, directions=spec.directions)
        self._past: list[Past] = []
        self._futures: dict[int, Future[Result]] = {}

    def ask(self, number: int) -> bool:
        """Ask trial `number`, or take it from the journal, and submit it. False if the timeout forbids it."""
        recorded = self._journal.trials[number : number + 1]
        if not recorded and self._spec.timeout and time.monotonic() - self._started >= self._spec.timeout:
            return False
        sampler_seed, training_seed = seeds(self._spec.seed, number)
        if recorded:
            self._study.add_trial(_as_asked(recorded[0]))
        else:
            self._propose(number, sampler_seed)
        trial = self._journal.trials[number]
        if not trial.state.is_finished():
            self._futures[number] = self._executor.submit(run_trial, self._task(trial, training_seed))
        return True

    def _propose(self, number: int, seed: int) -> None:
        if number == 0 and self._spec.first:
            self._study.enqueue_trial(dict(self._spec.first))
        self._study.sampler = SAMPLERS[self._spec.sampler](seed)
        suggest(self._study.ask(), self._spec.space)
        self._journal.ask(self._study.get_trials(deepcopy=False)[number])

    def _task(self, trial: FrozenTrial, seed: int) -> Task:
        dataset, pruner = self._spec.dataset, self._spec.pruner
        past = () if pruner == "none" else tuple(self._past)
        return Task(trial.number, trial.params, seed, dataset.folder, dataset.digest, pruner, past)

    def tell(self, number: int) -> Trial:
        """Await trial `number`, record its result, and let the next asks see it."""
        if future := self._futures.pop(number, None):
            result = future.result()
            self._journal.tell(number, result, self._values(result), time.monotonic() - self._started)
        trial = self._journal.trials[number]
        told = Journal.result(trial)
        assert told is not None
        self._tell_sampler(number, told)
        accuracies = tuple(point.valid_accuracy for point in told.curve)
        self._past.append(Past(told.state, accuracies, told.attrs))
        return Trial(number, trial.params, told, trial.user_attrs["told"]["elapsed"], trial)

    def _tell_sampler(self, number: int, result: Result) -> None:
        if len(self._spec.objectives) == 1:  # with several, TPE fails on a trial that has intermediate values
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
            for epoch, point in enumerate(result.curve, start=1):
                self._storage.set_trial_intermediate_value(trial_id, epoch, point.valid_accuracy)
        values = self._values(result) if result.state == "COMPLETE" else None
        self._study.tell(number, values, TrialState[result.state])

    def _values(self, result: Result) -> list[float] | None:
        """The objectives' values; a pruned trial of a single-objective study has its last accuracy."""
        if result.state == "COMPLETE" or (result.state == "PRUNED" and len(self._spec.objectives) == 1):
            known = {"accuracy": result.accuracy, **(result.cost._asdict() if result.cost else {})}
            return [known[objective] for objective in self._spec.objectives]
        return None


def _as_asked(trial: FrozenTrial) -> FrozenTrial:
    """A trial of the journal as it was when it was asked."""
    return create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
    )


def finished(spec: Spec, journal: Journal) -> bool:
    """Whether nothing is left to ask, and every asked trial was told."""
    told = [trial.state.is_finished() for trial in journal.trials]
    timed_out = spec.timeout is not None and journal.elapsed >= spec.timeout
    return all(told) and (len(told) >= spec.n_trials or timed_out)
