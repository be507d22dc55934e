"""A rung: every trial is trained up to it, then judged beside all before it, those in flight among them."""

from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Dying, InlineExecutor, Killed, facts, make_params, run
from contract import Backwards

from reprotune.data.stored import StoredDataset
from reprotune.params import LedRung, Rung, ShareRung
from reprotune.search.pruners import goes_on
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.tasks import ends_at, rung_point
from reprotune.search.trial import Result
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch

RUNGS: dict[str, Rung] = {
    "single_objective": ShareRung(epoch=1, share=0.2, among=5),
    "multi_objective": LedRung(epoch=1, margin=0.02),
}


def spec(dataset: StoredDataset, name: str, sampler: str = "tpe", pruner: str = "none") -> StudySpec:
    declared = declaration.from_params(make_params(), name, dataset)
    return replace(declared, n_trials=14, window=4, sampler=sampler, pruner=pruner, rung=RUNGS[name])


def test_the_best_share_of_the_last_trials_goes_on() -> None:
    rung = ShareRung(epoch=1, share=0.5, among=4)
    points = [(0.0, accuracy) for accuracy in (0.5, 0.4, 0.6, 0.55, 0.5, 0.5, 0.7, 0.5)]
    assert [goes_on(rung, points[:n]) for n in range(1, 9)] == [True, False, True, True, False, False, True, True]
    assert goes_on(rung, [*points, None])  # it did not come so far: nothing is to be judged
    assert not goes_on(rung, [(0.0, 0.9), None, None, None, (0.0, 0.8), (0.0, 0.1)])
    assert goes_on(ShareRung(epoch=1, share=0.5, among=2), [(0.0, 0.9), (0.0, 0.8), None, (0.0, 0.85)])


def test_what_is_led_by_what_costs_no_more_ends() -> None:
    rung = LedRung(epoch=1, margin=0.125)
    cheap, dear = (10.0, 0.5), (20.0, 0.625)
    assert goes_on(rung, [cheap, dear])
    assert goes_on(rung, [dear, cheap])
    assert goes_on(rung, [dear, (20.0, 0.5)])  # by the margin, and no more
    assert not goes_on(rung, [dear, (20.0, 0.49)])
    assert not goes_on(rung, [cheap, (10.0, 0.3)])


def test_a_trial_at_its_rung(dataset: StoredDataset) -> None:
    first, second = (replace(spec(dataset, name), rung=rung) for name, rung in RUNGS.items())
    second = replace(second, rung=LedRung(epoch=2, margin=0.1))
    curve, cost = tuple(Epoch(1.0, 1.0, accuracy) for accuracy in (0.1, 0.2, 0.3)), Cost(14, 7, 5)
    assert rung_point(first, Result("PRUNED", curve, cost)) == (0.0, 0.1)
    assert rung_point(second, Result("FAIL", curve, cost)) == (14, 0.2)
    assert rung_point(second, Result("COMPLETE", curve[:1], cost)) == (14, 0.1)
    assert rung_point(second, Result("PRUNED", curve[:1], cost)) is None
    assert rung_point(second, Result("FAIL", (), None)) is None
    assert rung_point(second, None) is None
    assert ends_at(second, [(14.0, 0.5), (14.0, 0.2)]) == 2
    assert ends_at(second, [(14.0, 0.5), (14.0, 0.4)]) is None
    assert ends_at(replace(second, rung=None), [(14.0, 0.5), (14.0, 0.2)]) is None


@pytest.mark.parametrize(
    ("name", "sampler", "pruner"),
    [
        ("single_objective", "tpe", "none"),
        ("single_objective", "cmaes", "median"),
        ("multi_objective", "tpe", "pareto"),
        ("multi_objective", "nsga2", "none"),
    ],
)
def test_contract(
    name: str, sampler: str, pruner: str, dataset: StoredDataset, pools: dict[int, Executor], tmp_path: Path
) -> None:
    """The same trials with 3 workers, in any order of finishing, after kills, and in a longer study."""
    declared = spec(dataset, name, sampler, pruner)
    trials = run(declared, tmp_path / "inline")
    assert [trial.number for trial in trials] == list(range(14))
    ended = [trial for trial in trials if trial.result.at_rung]
    assert 2 < len(ended) < 12
    assert {len(trial.result.curve) for trial in ended} == {1}
    for executor in (pools[3], Backwards()):
        assert facts(run(declared, tmp_path / str(id(executor)), executor)) == facts(trials)
    for kill in (3, 6, 1, 2):
        with pytest.raises(Killed):
            run(declared, tmp_path / "killed", Dying(kill))
    assert facts(run(declared, tmp_path / "killed")) == facts(trials)
    shorter = replace(declared, n_trials=9)
    assert facts(run(shorter, tmp_path / "longer")) == facts(trials)[:9]
    assert facts(run(declared, tmp_path / "longer", Dying(2 * 5))) == facts(trials)
    assert facts(run(shorter, tmp_path / "longer", Dying(0))) == facts(trials)[:9]


class Failing(InlineExecutor):
    """The machine fails whatever goes on beyond its rung."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if args[0].until is None:
            return super().submit(lambda _: Result("FAIL", (), None, "as told", by_machine=True), *args)
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("name", RUNGS)
def test_what_fails_beyond_its_rung_is_still_compared_with(name: str, dataset: StoredDataset, tmp_path: Path) -> None:
    declared = replace(spec(dataset, name, "random"))
    undisturbed, disturbed = run(declared, tmp_path / "undisturbed"), run(declared, tmp_path, Failing())
    ended = {trial.number for trial in undisturbed if trial.result.at_rung}
    assert {trial.number for trial in disturbed if trial.result.at_rung} == ended
    assert {trial.number for trial in disturbed if trial.result.state == "FAIL"} == set(range(14)) - ended
    points = [rung_point(declared, trial.result) for trial in undisturbed]
    assert [rung_point(declared, trial.result) for trial in disturbed] == points
