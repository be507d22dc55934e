"""A worker's pruner decides what Optuna's own would decide in a study that holds the same trials."""

from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from reprotune.search.history import History, PastTrial, frozen_trials
from reprotune.search.pruners import ONE_OBJECTIVE, PRUNERS, TrialPruner

CURVES = [[0.1 * ((7 * trial + 3 * epoch) % 10) for epoch in range(1, 10)] for trial in range(20)]


@pytest.mark.parametrize("name", ONE_OBJECTIVE)
def test_the_same_decisions_as_optunas_study(name: str) -> None:
    study = optuna.create_study(study_name="reprotune", direction="maximize", pruner=PRUNERS[name]())
    past: list[PastTrial] = []
    pruned = 0
    for number, curve in enumerate(CURVES):
        trial = study.ask()
        pruner = TrialPruner(PRUNERS[name](), frozen_trials(past), number, cost=None, epochs=len(curve))
        for epoch, accuracy in enumerate(curve, start=1):
            trial.report(accuracy, epoch)
            expected = trial.should_prune()
            assert pruner.should_prune(epoch, accuracy) == expected
            if expected:
                break
        state = TrialState.PRUNED if expected else TrialState.COMPLETE
        pruned += expected
        study.tell(trial, None if expected else curve[-1], state=state)
        past.append(PastTrial(state.name, tuple(curve[:epoch]), None, pruner.attrs))
    assert (pruned > 0) == (name != "none")


def test_trials_asked_but_not_told_only_hold_their_numbers() -> None:
    past = [PastTrial("COMPLETE", (0.9, 0.9), 1.0, {})] * 6
    for name in ("median", "pareto"):
        assert TrialPruner(PRUNERS[name](), frozen_trials(past), 6, cost=1.0, epochs=2).should_prune(1, 0.5)
        assert TrialPruner(PRUNERS[name](), frozen_trials(past), 10, cost=1.0, epochs=2).should_prune(1, 0.5)
        assert not TrialPruner(PRUNERS[name](), frozen_trials(past), 10, cost=1.0, epochs=2).should_prune(1, 0.95)


@pytest.mark.parametrize("name", PRUNERS)
def test_a_failed_trial_is_no_measure(name: str) -> None:
    past = [PastTrial("FAIL", (0.9,), None, {})] * 20
    assert not TrialPruner(PRUNERS[name](), frozen_trials(past), 20, cost=1.0, epochs=2).should_prune(1, 0.1)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 150, 999])
def test_what_a_worker_is_sent_is_what_was_told(count: int) -> None:
    past = [
        PastTrial(("FAIL", "PRUNED", "COMPLETE")[n % 3], (n / 7, n / 3)[: n % 3], n / 11, {"rung": n / 13})
        for n in range(150)
    ]
    history = History()
    for told in past:
        history.append(told)
    assert [_read(trial) for trial in history.first(count).frozen()] == [
        _read(trial) for trial in frozen_trials(past[:count])
    ]
    assert len(history.first(count).rest) < 64


def _read(trial: FrozenTrial) -> tuple[Any, ...]:
    return (trial.number, trial.state, trial.values, trial.intermediate_values, trial.user_attrs, trial.system_attrs)
