"""What a sampler is told, and what it proposes."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from conftest import InlineExecutor, facts, run
from contract import CONTRACT, spec
from optuna.trial import TrialState

from reprotune.data.stored import StoredDataset
from reprotune.search.samplers import PRUNED_AS_COMPLETE, SAMPLERS, TAKE_CONSTRAINTS, successor
from reprotune.search.space import suggest
from reprotune.search.study import proposals
from reprotune.search.trial import Result
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch


@pytest.mark.parametrize(("name", "sampler"), [(n, s) for n, s, p in CONTRACT if p in ("median", "pareto")])
def test_what_a_sampler_hands_on_changes_no_proposal(
    name: str,
    sampler: str,
    dataset: StoredDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared = replace(spec(dataset, name, sampler=sampler, n_trials=14), window=3)
    trials = facts(run(declared, tmp_path / "handed_on"))
    monkeypatch.setattr(proposals, "successor", lambda name, seed, _: SAMPLERS[name](seed))
    assert facts(run(declared, tmp_path / "new")) == trials


def test_what_trials_have_in_common_is_found_out_once(dataset: StoredDataset) -> None:
    """Of 30 trials, and not of all of them again at each ask."""
    looked_at = 0

    class Counting(dict[str, Any]):
        def get(self, *args: Any) -> Any:
            nonlocal looked_at
            looked_at += 1
            return super().get(*args)

    asked, before = optuna.create_study(), None
    for number in range(30):
        asked.sampler = before = successor("tpe", number, before)
        trial = asked.ask()
        suggest(trial, spec(dataset).space)
        asked.tell(trial, 0.5)
        told = asked._storage.get_trial(trial._trial_id)
        told.distributions = Counting(told.distributions)
    assert 0 < looked_at <= 30 * len(told.distributions)


@pytest.mark.parametrize(("name", "sampler"), [(n, s) for n, s, _ in CONTRACT if s in PRUNED_AS_COMPLETE])
def test_a_sampler_learns_how_good_a_pruned_trial_was(
    name: str, sampler: str, dataset: StoredDataset, tmp_path: Path
) -> None:
    """All trials are pruned, and what is good in one study is bad in the other: the proposals must part."""

    class Pruning(InlineExecutor):
        def __init__(self, sign: int) -> None:
            self._sign = sign

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            accuracy = 0.5 + self._sign * args[0].config["lr"]
            pruned = Result("PRUNED", (Epoch(1.0, 1.0, accuracy),), Cost(flops=2, macs=1, parameters=1), "as told")
            return super().submit(lambda _: pruned, *args, **kwargs)

    n_trials = 14 if sampler == "gp" else 60  # GP learns after 10 trials, NSGA-II after a generation of 50
    declared = spec(dataset, name, sampler=sampler, n_trials=n_trials)
    good, bad = (run(declared, tmp_path / str(sign), Pruning(sign)) for sign in (1, -1))
    assert [t.config for t in good][:8] == [t.config for t in bad][:8]
    assert [t.config for t in good] != [t.config for t in bad]
    assert {t.optuna.state for t in good} == {TrialState.PRUNED}


class Telling(InlineExecutor):
    """Trains nothing: the accuracy of a trial is what `accuracy` says of its config."""

    def __init__(self, accuracy: Callable[[Any], float]) -> None:
        self._accuracy = accuracy

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        config = args[0].config
        result = Result("COMPLETE", (Epoch(1.0, 1.0, self._accuracy(config)),), Cost(2 * config["width_1"], 1, 1))
        return super().submit(lambda _: result, *args, **kwargs)


@pytest.mark.parametrize("sampler", sorted(TAKE_CONSTRAINTS))
def test_a_sampler_sees_what_is_below_the_floor(
    sampler: str, dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Optuna's own terms, before it is asked again; and it proposes otherwise."""
    seen: dict[int, float] = {}
    tell = optuna.Study.tell

    def spy(self: optuna.Study, trial: Any, *args: Any, **kwargs: Any) -> Any:
        told = tell(self, trial, *args, **kwargs)
        finished = (t for t in self.get_trials(deepcopy=False) if t.state.is_finished())
        seen.update({t.number: t.constraints["min_accuracy"] for t in finished})
        return told

    declared = spec(dataset, "multi_objective", sampler=sampler, n_trials=60 if sampler == "nsga2" else 14)
    executor = Telling(lambda config: 0.1 * config["width_1"])
    free = run(declared, tmp_path / "free", executor)
    monkeypatch.setattr(optuna.Study, "tell", spy)
    floored = run(replace(declared, min_accuracy=0.5), tmp_path / "floored", executor)
    assert seen == {t.number: pytest.approx(0.5 - (t.result.accuracy or 0.0)) for t in floored}
    assert {violation > 0 for violation in seen.values()} == {False, True}
    assert [t.config for t in floored] != [t.config for t in free]
