"""A worker's pruner decides what Optuna's own would decide in a study that holds the same trials."""

from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from reprotune.pruners import ONE_OBJECTIVE, PRUNERS, Judge, Memory, Past, frozen

CURVES = [[0.1 * ((7 * trial + 3 * epoch) % 10) for epoch in range(1, 10)] for trial in range(20)]


@pytest.mark.parametrize("name", ONE_OBJECTIVE)
def test_the_same_decisions_as_optunas_study(name: str) -> None:
    study = optuna.create_study(study_name="reprotune", direction="maximize", pruner=PRUNERS[name]())
    past: list[Past] = []
    pruned = 0
    for number, curve in enumerate(CURVES):
        trial = study.ask()
        judge = Judge(name, frozen(past), number, cost=None, epochs=len(curve))
        for epoch, accuracy in enumerate(curve, start=1):
            trial.report(accuracy, epoch)
            expected = trial.should_prune()
            assert judge.should_prune(epoch, accuracy) == expected
            if expected:
                break
        state = TrialState.PRUNED if expected else TrialState.COMPLETE
        pruned += expected
        study.tell(trial, None if expected else curve[-1], state=state)
        past.append(Past(state.name, tuple(curve[:epoch]), None, judge.attrs))
    assert (pruned > 0) == (name != "none")


def test_trials_asked_but_not_told_only_hold_their_numbers() -> None:
    past = [Past("COMPLETE", (0.9, 0.9), 1.0, {})] * 6
    for name in ("median", "pareto"):
        assert Judge(name, frozen(past), 6, cost=1.0, epochs=2).should_prune(1, 0.5)
        assert Judge(name, frozen(past), 10, cost=1.0, epochs=2).should_prune(1, 0.5)
        assert not Judge(name, frozen(past), 10, cost=1.0, epochs=2).should_prune(1, 0.95)


@pytest.mark.parametrize("name", PRUNERS)
def test_a_failed_trial_is_no_measure(name: str) -> None:
    past = [Past("FAIL", (0.9,), None, {})] * 20
    assert not Judge(name, frozen(past), 20, cost=1.0, epochs=2).should_prune(1, 0.1)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 150, 999])
def test_what_a_worker_is_sent_is_what_was_told(count: int) -> None:
    past = [
        Past(("FAIL", "PRUNED", "COMPLETE")[n % 3], (n / 7, n / 3)[: n % 3], n / 11, {"rung": n / 13})
        for n in range(150)
    ]
    memory = Memory()
    for told in past:
        memory.append(told)
    assert [_read(trial) for trial in memory.first(count).frozen()] == [_read(trial) for trial in frozen(past[:count])]
    assert len(memory.first(count).rest) < 64


def _read(trial: FrozenTrial) -> tuple[Any, ...]:
    return (trial.number, trial.state, trial.values, trial.intermediate_values, trial.user_attrs, trial.system_attrs)
