"""What is proposed: the study as its next ask may see it, in memory, kept in step with the journal."""

from dataclasses import replace

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from reprotune.search.samplers import FINITE_ONLY, PRUNED_AS_COMPLETE, TAKE_CONSTRAINTS, successor
from reprotune.search.space import suggest
from reprotune.search.study.seeds import seeds
from reprotune.search.study.spec import StudySpec
from reprotune.search.trial import Result

ATTEMPTS = 30  # to propose a trial that is not above a cap
BY_SAMPLER = 10  # the first of them; the rest is random, as CMA-ES would not leave the centre of the space


class Proposals:
    """Asks and tells Optuna's samplers, a new one for each ask, in the order of the trials' numbers."""

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(storage=self._storage, directions=spec.directions)
        self._samplers = dict[str, BaseSampler]()  # the last of each name

    def replay(self, trial: FrozenTrial) -> None:
        """Take the next trial as it was asked before."""
        self._study.add_trial(trial)

    def propose(self, number: int) -> FrozenTrial:
        """Ask the next trial, which has this number: with all its params, and of how many attempts it came."""
        own = number - len(self._spec.adopted)
        if own < len(self._spec.first):
            self._study.enqueue_trial(dict(self._spec.first[own]))
        once = self._spec.sampler in FINITE_ONLY  # what is above a cap is a trial too, or it would come again
        for attempt in range(1 if once else ATTEMPTS):
            name = self._spec.sampler if attempt < BY_SAMPLER else "random"
            seed = seeds(self._spec.seed, self._spec.name, number, attempt or None)[0]
            self._samplers[name] = self._study.sampler = successor(name, seed, self._samplers.get(name))
            trial = self._asked_again(number) if attempt else self._study.ask()
            suggest(trial, self._spec.space)
            if not self._spec.too_large(trial.params):
                break
        asked = self._storage.get_trial(trial._trial_id)
        asked.set_user_attr("attempts", attempt + 1)
        return asked

    def _asked_again(self, number: int) -> optuna.Trial:
        """The trial, as if nothing had been proposed for it."""
        trial_id = self._trial_id(number)
        asked = self._storage.get_trial(trial_id)  # the one that the storage holds
        asked.params, asked.distributions, asked.system_attrs = {}, {}, {}
        return optuna.Trial(self._study, trial_id)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)

    def tell(self, number: int, result: Result) -> None:
        """Let the next asks see how a trial ended."""
        trial_id = self._trial_id(number)
        if len(self._spec.objectives) == 1:  # with several, TPE fails on a trial that has intermediate values
            for epoch, point in enumerate(result.curve, start=1):
                self._storage.set_trial_intermediate_value(trial_id, epoch, point.valid_accuracy)
        passed_over = result.state == "PRUNED" and result.curve and self._spec.sampler in PRUNED_AS_COMPLETE
        seen = replace(result, state="COMPLETE") if passed_over else result
        violations = self._spec.violations(seen) if self._spec.sampler in TAKE_CONSTRAINTS else {}
        for name, violation in violations.items():  # before the tell: a told trial is not to be changed
            self._storage.get_trial(trial_id).set_constraint(name, violation)
        values = self._spec.values(seen) if seen.state == "COMPLETE" else None
        self._study.tell(number, values, TrialState[seen.state])
