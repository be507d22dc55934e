"""The in-order window: one contract over every sampler and every pruner."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Dying, InlineExecutor, Killed, facts, make_params, run
from contract import CONTRACT, Backwards, spec
from optuna.trial import TrialState
from tasks import failing, hangs_once, killed_if_wide, lacks_memory_if_wide

from reprotune.data.stored import StoredDataset
from reprotune.search.study import declaration, journal, proposals, window
from reprotune.search.study.trials import finished
from reprotune.search.trial import Result, Task


@pytest.mark.parametrize(("name", "sampler", "pruner"), CONTRACT)
def test_contract(
    name: str,
    sampler: str,
    pruner: str,
    dataset: StoredDataset,
    pools: dict[int, Executor],
    tmp_path: Path,
) -> None:
    """The same trials with 3 workers, in any order of finishing, after kills, and in a longer study."""
    declared = replace(spec(dataset, name, sampler=sampler, pruner=pruner, n_trials=14), window=4)
    trials = facts(run(declared, tmp_path / "inline"))
    assert [trial[0] for trial in trials] == list(range(14))
    assert len({str(trial[1]) for trial in trials}) > 7
    assert facts(run(declared, tmp_path / "three", pools[3])) == trials
    assert facts(run(declared, tmp_path / "backwards", Backwards())) == trials

    for kill in (3, 2, 5):
        with pytest.raises(Killed):
            run(declared, tmp_path / "killed", Dying(kill))
    assert facts(run(declared, tmp_path / "killed")) == trials

    assert facts(run(replace(declared, n_trials=9), tmp_path / "longer")) == trials[:9]
    assert facts(run(declared, tmp_path / "longer", Dying(5))) == trials  # it trains the other five
    assert facts(run(replace(declared, n_trials=9), tmp_path / "longer", Dying(0))) == trials[:9]


LIMITS = {"max_flops": 330, "max_parameters": 180}  # what a tenth of the space keeps


@pytest.mark.parametrize(("name", "sampler"), [(n, s) for n, s, p in CONTRACT if p in ("median", "pareto")])
def test_contract_within_limits(
    name: str,
    sampler: str,
    dataset: StoredDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same with caps and a floor; above a cap it is asked again (not by grid), then told untrained, and why."""
    monkeypatch.setattr(proposals, "ATTEMPTS", 6)
    monkeypatch.setattr(proposals, "BY_SAMPLER", 4)
    floor = {"min_accuracy": 0.45} if name == "multi_objective" else {}
    count = 60 if sampler == "grid" else 14
    declared = replace(spec(dataset, name, sampler=sampler, n_trials=count, **LIMITS, **floor), window=4)
    told = run(declared, tmp_path / "inline")
    trials = facts(told)
    untrained = [trial for trial in told if trial.result.untrained]
    assert 0 < len(untrained) < count
    for trial in told:
        cost = trial.result.cost
        assert cost is not None
        above = [f"max_flops: {cost.flops} above 330"] * (cost.flops > 330)
        above += [f"max_parameters: {cost.parameters} above 180"] * (cost.parameters > 180)
        assert (trial.result.untrained, trial.result.reason) == (True, "; ".join(above)) or not above
        assert trial.optuna.user_attrs["attempts"] == (1 if sampler == "grid" else proposals.ATTEMPTS) or not above
    again = [trial.number for trial in told if trial.optuna.user_attrs["attempts"] > 1 and not trial.result.untrained]
    assert bool(again) == (sampler != "grid")
    assert facts(run(declared, tmp_path / "backwards", Backwards())) == trials
    for kill in (1, 2):
        with pytest.raises(Killed):
            run(declared, tmp_path / "killed", Dying(kill))
    resumed = run(declared, tmp_path / "killed")
    assert facts(resumed) == trials
    attempts = [[trial.optuna.user_attrs["attempts"] for trial in found] for found in (told, resumed)]
    assert attempts[0] == attempts[1]
    assert facts(run(replace(declared, n_trials=9), tmp_path / "longer")) == trials[:9]
    assert facts(run(declared, tmp_path / "longer")) == trials


def test_an_ask_sees_the_trials_up_to_its_window_and_no_others(dataset: StoredDataset, tmp_path: Path) -> None:
    seen = []

    class Spy(InlineExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            seen.append(len(args[0].history.frozen()))
            return super().submit(fn, *args, **kwargs)

    run(replace(spec(dataset), window=4, n_trials=8), tmp_path, Spy())
    assert seen == [0, 0, 0, 0, 1, 2, 3, 4]


def test_the_window_changes_the_proposals(dataset: StoredDataset, tmp_path: Path) -> None:
    one = facts(run(replace(spec(dataset, n_trials=14), window=1), tmp_path / "1"))
    assert facts(run(replace(spec(dataset, n_trials=14), window=6), tmp_path / "6"))[11:] != one[11:]


def test_the_first_config_is_trial_0(dataset: StoredDataset, tmp_path: Path) -> None:
    first = run(spec(dataset), tmp_path)[5].config
    declared = declaration.multi_objective(make_params(), dataset, first)
    trials = facts(run(declared, tmp_path / "a"))
    assert trials[0][1] == first
    with pytest.raises(Killed):
        run(declared, tmp_path / "b", Dying(0))
    assert facts(run(declared, tmp_path / "b")) == trials


@pytest.mark.parametrize(
    ("name", "sampler"), [(name, sampler) for name, sampler, pruner in CONTRACT if pruner in ("median", "pareto")]
)
def test_own_configs_come_first(
    name: str, sampler: str, dataset: StoredDataset, pools: dict[int, Executor], tmp_path: Path
) -> None:
    """Filled from the default config, one of them a worker's, over kills, and in a longer study."""
    own: list[dict[str, Any]] = [
        {"width": 5, "lr": 0.01},
        {"layers": 1, "width_1": 3, "optimizer": "SGD", "momentum": 0.0, "epochs": 2},
        {"epochs": 3},
    ]
    changes = {
        f"{name}__first": own,
        f"{name}__sampler": sampler,
        f"{name}__n_trials": 7,
        "model__width": 8,
        "training__epochs": 4,
    }
    declared = declaration.from_params(make_params(**changes), name, dataset)
    trials = facts(run(declared, tmp_path / "inline"))
    for config, trial in zip(own, trials, strict=False):
        assert config.items() <= {**trial[1], "width": trial[1]["width_1"]}.items()
    assert [trial[1]["epochs"] for trial in trials[:3]] == [4, 2, 3]
    assert trials[0][1]["width_2"] == 5
    assert trials[2][1]["width_2"] == 8
    assert len({str(trial[1]) for trial in trials}) == 7
    with pytest.raises(Killed):
        run(declared, tmp_path / "killed", Dying(1))
    assert facts(run(declared, tmp_path / "killed", pools[3])) == trials
    assert facts(run(replace(declared, n_trials=2), tmp_path / "short")) == trials[:2]
    assert facts(run(declared, tmp_path / "short")) == trials
    assert declared.identity != replace(declared, first=declared.first[:2]).identity


def test_a_timeout_ends_a_study_with_the_trials_of_a_shorter_one(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = replace(spec(dataset), timeout=1e-6)
    with pytest.raises(Killed):
        run(replace(declared, timeout=None), tmp_path / "timed", Dying(6))
    told = 3  # the others were asked, or trained and not told
    trials = run(declared, tmp_path / "timed")
    assert facts(trials) == facts(run(replace(declared, timeout=None, n_trials=told), tmp_path / "counted"))
    assert len(run(declared, tmp_path / "fresh")) == 0


class OneWorker(Backwards):
    """One worker, which begins with the oldest task, and whose trials take 8 seconds each of `clock`."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self._clock = clock

    def finish_all(self) -> None:
        future, call = self._open.pop(0)
        future.set_result(result := call())
        self._clock[0] += 8.0 if result else 0.0


@pytest.mark.parametrize(("timeout", "begun"), [(5.0, 1), (16.0, 2), (17.0, 3), (1e6, 12)])
def test_no_trial_begins_after_the_timeout(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: float, begun: int
) -> None:
    """Not even one that was proposed before it, whatever the time of day; and the study can be lengthened."""
    clock = [1000.0]
    monkeypatch.setattr(window, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    declared = replace(spec(dataset), window=8, timeout=timeout)
    trials = run(declared, tmp_path, OneWorker(clock))
    assert len(trials) == begun
    assert not journal.unfinished(tmp_path / declared.journal)
    with journal.opened(tmp_path / declared.journal, declared.directions, lambda _: False) as opened:
        assert finished(declared, opened)
        assert finished(replace(declared, timeout=None), opened) == (begun == 12)
    longer = run(replace(declared, timeout=None), tmp_path, Dying(12 - begun))
    assert facts(longer)[:begun] == facts(trials)
    assert facts(longer) == facts(run(replace(declared, timeout=None), tmp_path / "undisturbed"))


def test_elapsed_goes_on_over_resumes(dataset: StoredDataset, tmp_path: Path) -> None:
    short = run(replace(spec(dataset), n_trials=5), tmp_path)
    trials = run(spec(dataset), tmp_path)
    elapsed = [trial.elapsed for trial in trials]
    assert [trial.elapsed for trial in short] == elapsed[:5]
    assert elapsed == sorted(elapsed)
    assert elapsed[0] > 0


def test_a_failed_trial_has_its_reason_and_the_study_goes_on(dataset: StoredDataset, tmp_path: Path) -> None:
    lr = {"type": "categorical", "choices": [1e30, 0.01]}
    declared = spec(dataset, search_space={"lr": lr, "optimizer": "SGD", "epochs": 2}, n_trials=14)
    trials = run(declared, tmp_path)
    failed = [trial for trial in trials if trial.config["lr"] == 1e30]
    assert 0 < len(failed) < 14
    assert all(trial.result.state == "FAIL" and "Diverged: loss became" in trial.result.reason for trial in failed)
    assert not any(trial.result.by_machine for trial in trials)
    assert all(trial.result.state != "FAIL" for trial in trials if trial.config["lr"] == 0.01)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (killed_if_wide, "WorkerDied: its worker died 3 times"),
        (lacks_memory_if_wide, "Shortage: MemoryError: as told; 3 times"),
        (hangs_once, "TimeoutError: took"),
    ],
)
def test_a_trial_whose_worker_dies_or_hangs_fails(
    work: Callable[[Task], Result],
    reason: str,
    workers: int,
    dataset: StoredDataset,
    pools: dict[int, Executor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which trials fail depends on nothing but the trials, and the study goes on."""
    declared = replace(spec(dataset, n_trials=8), trial_timeout=3.0 if work is hangs_once else None)
    expected = facts(run(declared, tmp_path / "undisturbed"))
    monkeypatch.setattr(window, "run_trial", work)
    trials = run(declared, tmp_path / "disturbed", pools[workers])
    failed = failing(work, trials)
    assert failed
    assert {trial.number for trial in trials if trial.result.state == "FAIL"} == failed
    assert {trial.number for trial in trials if trial.result.by_machine} == failed
    assert all(trial.result.reason.startswith(reason) for trial in trials if trial.number in failed)
    same = min(failed) + declared.window  # the trials proposed before the first failure was told
    assert [trial.config for trial in trials[:same]] == [trial[1] for trial in expected[:same]]


def test_what_is_done_meanwhile_comes_after_the_first_window_and_before_any_is_told(
    dataset: StoredDataset, tmp_path: Path
) -> None:
    declared, states = spec(dataset, n_trials=6), list[TrialState]()
    with journal.opened(tmp_path / declared.journal, declared.directions, lambda _: False) as opened:
        trials = window.run(
            declared, opened, InlineExecutor(), lambda: states.extend(trial.state for trial in opened.trials)
        )
        assert len(list(trials)) == 6
    assert states == [TrialState.RUNNING] * declared.window
