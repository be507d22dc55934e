"""The in-order window: one contract over every sampler and every pruner."""

import math
import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import torch
from conftest import SPACE, Dying, InlineExecutor, Killed, facts, make_params, run
from optuna.trial import TrialState
from tasks import failing, hangs_once, killed_if_wide, lacks_memory_if_wide

from reprotune.arithmetic import kernels
from reprotune.data.images import Split
from reprotune.data.stored import StoredDataset
from reprotune.errors import ParamsError, UserError
from reprotune.params import Finalists
from reprotune.search import journal, study
from reprotune.search import spec as specs
from reprotune.search.history import History
from reprotune.search.pruners import ONE_OBJECTIVE, SEVERAL_OBJECTIVES
from reprotune.search.samplers import PRUNED_AS_COMPLETE, SAMPLERS, SINGLE_OBJECTIVE_ONLY, TAKE_CONSTRAINTS, successor
from reprotune.search.space import default_config, size, suggest
from reprotune.search.spec import StudySpec
from reprotune.search.stopping import Stopping, ended_by
from reprotune.search.trial import Result, Task, run_trial
from reprotune.training.cost import Caps, Cost
from reprotune.training.learning_curve import Epoch

CONTRACT = (
    [("single_objective", sampler, "median") for sampler in SAMPLERS]
    + [("single_objective", "random", pruner) for pruner in ONE_OBJECTIVE if pruner != "median"]
    + [("multi_objective", sampler, "pareto") for sampler in SAMPLERS if sampler not in SINGLE_OBJECTIVE_ONLY]
    + [("multi_objective", "random", pruner) for pruner in SEVERAL_OBJECTIVES if pruner != "pareto"]
)


def spec(dataset: StoredDataset, name: str = "single_objective", **changes: Any) -> StudySpec:
    return specs.from_params(make_params(**{f"{name}__{key}": value for key, value in changes.items()}), name, dataset)


class Backwards(Executor):
    """Finishes the open tasks in the reverse order of their submission, as late as it can."""

    def __init__(self) -> None:
        self._open: list[tuple[Future[Any], Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Lazy(self)
        self._open.append((future, lambda: fn(*args, **kwargs)))
        return future

    def finish_all(self) -> None:
        while self._open:
            future, call = self._open.pop()
            future.set_result(call())


class Lazy(Future[Any]):
    def __init__(self, executor: Backwards) -> None:
        super().__init__()
        self._executor = executor

    def result(self, timeout: float | None = None) -> Any:
        self._executor.finish_all()
        return super().result(timeout)


_trained: dict[bytes, Result] = {}


def trained_once(task: Task) -> Result:
    """A task that is the same as one before, to its last byte, is not trained again."""
    key = pickle.dumps(task)
    if key not in _trained:
        _trained[key] = run_trial(task)
    return _trained[key]


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, what is compared is which tasks there are; what workers make of them was compared before."""
    return lambda: monkeypatch.setattr(study, "run_trial", trained_once)


@pytest.mark.parametrize(("name", "sampler", "pruner"), CONTRACT)
def test_contract(
    name: str,
    sampler: str,
    pruner: str,
    dataset: StoredDataset,
    pools: dict[int, Executor],
    tmp_path: Path,
    once: Callable[[], None],
) -> None:
    """The same trials with 1 and 3 workers, in any order of finishing, after kills, and in a longer study."""
    declared = replace(spec(dataset, name, sampler=sampler, pruner=pruner, n_trials=14), window=4)
    trials = facts(run(declared, tmp_path / "inline"))
    assert [trial[0] for trial in trials] == list(range(14))
    assert len({str(trial[1]) for trial in trials}) > 7
    assert facts(run(declared, tmp_path / "one", pools[1])) == trials
    assert facts(run(declared, tmp_path / "three", pools[3])) == trials
    once()
    assert facts(run(declared, tmp_path / "backwards", Backwards())) == trials

    for kill in (3, 2, 5):
        with pytest.raises(Killed):
            run(declared, tmp_path / "killed", Dying(kill))
    assert facts(run(declared, tmp_path / "killed")) == trials

    assert facts(run(replace(declared, n_trials=9), tmp_path / "longer")) == trials[:9]
    assert facts(run(declared, tmp_path / "longer", Dying(5))) == trials  # it trains the other five
    assert facts(run(replace(declared, n_trials=9), tmp_path / "longer", Dying(0))) == trials[:9]


@pytest.mark.parametrize(("name", "sampler"), [(n, s) for n, s, p in CONTRACT if p in ("median", "pareto")])
def test_what_a_sampler_hands_on_changes_no_proposal(
    name: str,
    sampler: str,
    dataset: StoredDataset,
    tmp_path: Path,
    once: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once()
    declared = replace(spec(dataset, name, sampler=sampler, n_trials=16), window=3)
    trials = facts(run(declared, tmp_path / "handed_on"))
    monkeypatch.setattr(study, "successor", lambda name, seed, _: SAMPLERS[name](seed))
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

    n_trials = 15 if sampler == "gp" else 60  # GP learns after 10 trials, NSGA-II after a generation of 50
    declared = spec(dataset, name, sampler=sampler, n_trials=n_trials)
    good, bad = (run(declared, tmp_path / str(sign), Pruning(sign)) for sign in (1, -1))
    assert [t.config for t in good][:8] == [t.config for t in bad][:8]
    assert [t.config for t in good] != [t.config for t in bad]
    assert {t.optuna.state for t in good} == {TrialState.PRUNED}


LIMITS = {"max_flops": 330, "max_parameters": 180}  # what a tenth of the space keeps


@pytest.mark.parametrize(("name", "sampler"), [(n, s) for n, s, p in CONTRACT if p in ("median", "pareto")])
def test_contract_within_limits(
    name: str,
    sampler: str,
    dataset: StoredDataset,
    pools: dict[int, Executor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same with caps and a floor; what is above a cap is asked again, then told untrained, with why."""
    monkeypatch.setattr(study, "ATTEMPTS", 6)
    monkeypatch.setattr(study, "BY_SAMPLER", 4)
    floor = {"min_accuracy": 0.45} if name == "multi_objective" else {}
    declared = replace(spec(dataset, name, sampler=sampler, n_trials=14, **LIMITS, **floor), window=4)
    told = run(declared, tmp_path / "inline")
    trials = facts(told)
    untrained = [trial for trial in told if trial.result.untrained]
    assert 0 < len(untrained) < 14
    for trial in told:
        cost = trial.result.cost
        assert cost is not None
        above = [f"max_flops: {cost.flops} above 330"] * (cost.flops > 330)
        above += [f"max_parameters: {cost.parameters} above 180"] * (cost.parameters > 180)
        assert (trial.result.untrained, trial.result.reason) == (True, "; ".join(above)) or not above
        assert trial.optuna.user_attrs["attempts"] == study.ATTEMPTS or not above
    assert any(trial.optuna.user_attrs["attempts"] > 1 for trial in told if not trial.result.untrained)
    assert facts(run(declared, tmp_path / "three", pools[3])) == trials
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
        seen.update({t.number: t.constraints["min_accuracy"] for t in self.get_trials() if t.state.is_finished()})
        return told

    n_trials = 15 if sampler == "gp" else 60
    declared = spec(dataset, "multi_objective", sampler=sampler, n_trials=n_trials)
    executor = Telling(lambda config: 0.1 * config["width_1"])
    free = run(declared, tmp_path / "free", executor)
    monkeypatch.setattr(optuna.Study, "tell", spy)
    floored = run(replace(declared, min_accuracy=0.5), tmp_path / "floored", executor)
    assert seen == {t.number: pytest.approx(0.5 - (t.result.accuracy or 0.0)) for t in floored}
    assert {violation > 0 for violation in seen.values()} == {False, True}
    assert [t.config for t in floored] != [t.config for t in free]


def test_a_pruned_trial_is_not_told_as_below_the_floor(dataset: StoredDataset) -> None:
    """What it would have reached is not known. One that is told as complete is, by its last accuracy."""
    declared = spec(dataset, "multi_objective", min_accuracy=0.75, max_flops=1000)
    pruned = Result("PRUNED", (Epoch(1.0, 1.0, 0.25),), Cost(500, 250, 50))
    assert declared.violations(pruned) == {"max_flops": -0.5}
    assert declared.violations(replace(pruned, state="COMPLETE")) == {"max_flops": -0.5, "min_accuracy": 0.5}
    assert declared.violations(Result("FAIL", (), None)) == {}
    assert not declared.feasible(pruned)
    assert not spec(dataset, "multi_objective").violations(pruned)


def test_the_reference_point_is_the_most_that_is_allowed_and_the_floor(dataset: StoredDataset) -> None:
    free = spec(dataset, "multi_objective").reference_point
    assert spec(dataset, "multi_objective", min_accuracy=0.5, max_flops=500).reference_point == (500.0, 0.5)
    assert spec(dataset, "multi_objective", max_flops=10**9, max_parameters=180).reference_point == free


def test_caps_that_nothing_can_keep_are_refused(dataset: StoredDataset) -> None:
    least = {"max_flops": 2 * (64 * 2 + 2 * 4), "max_parameters": 64 * 2 + 2 + 2 * 4 + 4}
    for cap, cost in least.items():
        spec(dataset, "single_objective", **{cap: cost})
        line = rf"^params.yaml: single_objective.{cap} = {cost - 1}: must be {cost} or more: the smallest model of"
        with pytest.raises(UserError, match=line):
            spec(dataset, "single_objective", **{cap: cost - 1})
    own = {"first": [{"width": 2, "epochs": 2}, {"width": 8, "epochs": 2}], "max_flops": 1000}
    with pytest.raises(UserError, match=r"^params.yaml: single_objective.first.1 = \{.*\}: max_flops: 1216 above 1000"):
        spec(dataset, "single_objective", **own)


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
    declared = specs.multi_objective(make_params(), dataset, first)
    trials = facts(run(declared, tmp_path / "a"))
    assert trials[0][1] == first
    with pytest.raises(Killed):
        run(declared, tmp_path / "b", Dying(0))
    assert facts(run(declared, tmp_path / "b")) == trials


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
    monkeypatch.setattr(study, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    declared = replace(spec(dataset), window=8, timeout=timeout)
    trials = run(declared, tmp_path, OneWorker(clock))
    assert len(trials) == begun
    assert not journal.unfinished(tmp_path / declared.journal)
    with journal.opened(tmp_path / declared.journal, declared.directions, lambda _: False) as opened:
        assert study.finished(declared, opened)
        assert study.finished(replace(declared, timeout=None), opened) == (begun == 12)
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


def test_the_metric_is_what_every_trial_is_scored_by(dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 images of class 0 and 1 of class 1 in valid, by a model that knows class 0 alone."""
    labels = torch.tensor([0, 0, 0, 1])
    held = Split(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), labels)
    monkeypatch.setattr(StoredDataset, "load", lambda *_: held)
    monkeypatch.setattr(StoredDataset, "class_sizes", lambda *_: [3, 1])
    config = dict(default_config(make_params()), epochs=10, lr=0.1)
    for metric, accuracy, images in (("accuracy", 0.75, 4), ("balanced_accuracy", 0.5, 3)):
        declared = replace(spec(dataset), metric=metric)  # type: ignore[arg-type]
        tasks = (study.task(declared, 0, config, History()), study.repeat_task(declared, 0, config, 0))
        assert [run_trial(task).accuracy for task in tasks] == [accuracy, accuracy]
        assert declared.images == pytest.approx(images)


def test_identity(dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    base = spec(dataset)
    longer = [replace(base, n_trials=1), replace(base, timeout=9.0)]
    longer += [replace(base, max_epochs=1), replace(base, patience=1)]
    longer += [replace(base, finalists=Finalists(count=9, repeats=9))]
    others = [replace(base, seed=1), replace(base, window=2), replace(base, sampler="gp"), replace(base, first=({},))]
    others += [replace(base, pruner_settings={"n_warmup_steps": 1}), replace(base, pruner="none")]
    others += [replace(base, space={**base.space, "lr": 0.1}), replace(base, objectives=("flops", "accuracy"))]
    others += [replace(base, caps=Caps(max_flops=900)), replace(base, caps=Caps(max_parameters=900))]
    others += [replace(base, min_accuracy=0.5), replace(base, min_accuracy=0.6)]
    others += [replace(base, metric="balanced_accuracy")]
    assert {declared.identity for declared in longer} == {base.identity}
    assert len({declared.identity for declared in [base, *others]}) == len(others) + 1
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert replace(base).identity != base.identity


def test_a_torn_last_line_is_cut_off(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset)
    trials = facts(run(declared, tmp_path))
    path = tmp_path / declared.journal
    content = path.read_bytes()
    for cut in (1, 40, len(content) // 2):
        path.write_bytes(content[:-cut])
        assert facts(run(declared, tmp_path)) == trials


def test_two_processes_cannot_run_one_study(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_WAIT", 0)
    declared = spec(dataset)
    with journal.opened(tmp_path / declared.journal, declared.directions, lambda _: False):
        with pytest.raises(UserError, match="another process runs this study"):
            run(declared, tmp_path)
    run(declared, tmp_path)


def test_a_finished_study_can_be_begun_anew(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset)
    trials = facts(run(declared, tmp_path))
    path = tmp_path / declared.journal
    with journal.opened(path, declared.directions, lambda opened: study.finished(declared, opened)) as opened:
        assert opened.trials == []
        assert not study.finished(declared, opened)
        assert facts(list(study.run(declared, opened, InlineExecutor()))) == trials
    assert path.with_suffix(".previous").exists()


def test_seeds_are_all_different() -> None:
    """Those of the sampler, of the training, of both studies and of the evaluation."""
    names = ("single_objective", "multi_objective", "evaluate")
    pairs = [specs.seeds(seed, name, number) for seed in range(20) for name in names for number in range(50)]
    assert len({value for pair in pairs for value in pair}) == 2 * 20 * 3 * 50


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
    declared = replace(spec(dataset, n_trials=8), trial_timeout=5.0 if work is hangs_once else None)
    expected = facts(run(declared, tmp_path / "undisturbed"))
    monkeypatch.setattr(study, "run_trial", work)
    trials = run(declared, tmp_path / "disturbed", pools[workers])
    failed = failing(work, trials)
    assert failed
    assert {trial.number for trial in trials if trial.result.state == "FAIL"} == failed
    assert {trial.number for trial in trials if trial.result.by_machine} == failed
    assert all(trial.result.reason.startswith(reason) for trial in trials if trial.number in failed)
    same = min(failed) + declared.window  # the trials proposed before the first failure was told
    assert [trial.config for trial in trials[:same]] == [trial[1] for trial in expected[:same]]


@pytest.mark.parametrize(
    ("changes", "blocks"),
    [
        ({"model__model": "cnn", "model__blocks": 5}, 5),
        ({"single_objective__search_space": {"model": "cnn", "blocks": {"type": "int", "low": 1, "high": 5}}}, 4),
    ],
)
def test_a_net_that_the_images_are_too_small_for_is_refused(
    dataset: StoredDataset, changes: dict[str, Any], blocks: int
) -> None:
    line = f"params.yaml: single_objective.search_space, .*: blocks = {blocks}: too many for images of 8 × 8 pixels"
    with pytest.raises(UserError, match=line):
        specs.check_models(make_params(**changes), dataset.inputs)


def test_a_net_too_large_for_any_tensor_is_refused(dataset: StoredDataset) -> None:
    space = {"width": {"type": "int", "low": 4, "high": 2**62}}
    with pytest.raises(UserError, match=r"^params.yaml: single_objective.search_space, .*: too large to be built: .*$"):
        specs.check_models(make_params(single_objective__search_space=space), dataset.inputs)


@pytest.mark.parametrize(
    ("chosen", "gpu", "device"),
    [("cpu", True, "cpu"), ("auto", False, "cpu"), ("auto", True, "cuda"), ("cuda", True, "cuda")],
)
def test_the_device_is_resolved_into_the_study(
    dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch, chosen: str, gpu: bool, device: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "GPU of a test")
    declared = specs.from_params(make_params(training__device=chosen), "single_objective", dataset)
    assert declared.device == study.task(declared, 0, {}, History()).device == device
    assert kernels.environment(declared.device)["device"] == ("GPU of a test" if device == "cuda" else "cpu")
    assert (declared.identity == spec(dataset).identity) == (device == "cpu")


def test_a_gpu_that_is_not_there_is_refused(dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    line = r"^params.yaml: training.device = 'cuda': no CUDA GPU is found here; must be cpu or auto$"
    with pytest.raises(UserError, match=line):
        specs.from_params(make_params(training__device="cuda"), "single_objective", dataset)


ENDING = [
    ("single_objective", "tpe", "median", {"max_epochs": 18}),
    ("single_objective", "random", "hyperband", {"patience": 2}),
    ("single_objective", "nsga2", "median", {"max_epochs": 21}),
    ("single_objective", "gp", "median", {"patience": 2}),
    ("single_objective", "cmaes", "median", {"patience": 3}),
    ("multi_objective", "tpe", "pareto", {"patience": 3}),
    ("multi_objective", "random", "none", {"max_epochs": 18}),
    ("multi_objective", "gp", "pareto", {"max_epochs": 15}),
    ("multi_objective", "nsga2", "pareto", {"patience": 2}),
]


@pytest.mark.parametrize(("name", "sampler", "pruner", "end"), ENDING)
def test_what_ends_a_study_is_a_function_of_its_told_trials(
    name: str,
    sampler: str,
    pruner: str,
    end: dict[str, int],
    dataset: StoredDataset,
    pools: dict[int, Executor],
    tmp_path: Path,
    once: Callable[[], None],
) -> None:
    """At the same trial with any workers, in any order of finishing, after kills; and it can be lengthened."""
    declared = replace(spec(dataset, name, sampler=sampler, pruner=pruner, n_trials=14), window=4)
    ending = replace(declared, **end)  # type: ignore[arg-type]
    trials = run(ending, tmp_path / "inline")
    assert 2 < len(trials) < 14
    assert ended_by(ending, trials) == next(iter(end))
    assert ended_by(ending, trials[:-1]) is None
    assert facts(run(ending, tmp_path / "three", pools[3])) == facts(trials)
    once()
    assert facts(run(ending, tmp_path / "backwards", Backwards())) == facts(trials)
    for kill in (3, 1):
        with pytest.raises(Killed):
            run(ending, tmp_path / "killed", Dying(kill))
    assert facts(run(ending, tmp_path / "killed")) == facts(trials)
    with journal.opened(tmp_path / "killed" / ending.journal, ending.directions, lambda _: False) as opened:
        assert study.finished(ending, opened)
        assert not study.finished(declared, opened)
        assert len(study.told(ending, opened)) == len(trials)
    assert not journal.unfinished(tmp_path / "killed" / ending.journal)
    assert facts(run(ending, tmp_path / "killed", Dying(0))) == facts(trials)  # what lies beyond the end is not trained

    longer = run(declared, tmp_path / "killed", Dying(14 - len(trials)))
    assert facts(longer) == facts(run(declared, tmp_path / "longer"))
    assert facts(longer)[: len(trials)] == facts(trials)
    assert facts(run(ending, tmp_path / "killed", Dying(0))) == facts(trials)  # the shorter of the longer
    assert not journal.unfinished(tmp_path / "killed" / ending.journal)


SMALL = {
    "layers": {"type": "int", "low": 1, "high": 2},
    "width": {"type": "int", "low": 4, "high": 12, "step": 4},
    "dropout": {"type": "float", "low": 0.0, "high": 0.2, "step": 0.2},
    "optimizer": "Adam",
    "lr": 0.01,
    "epochs": 1,
    "batch_size": 64,
}  # 3 × 2 configs of one layer, (3 × 2)² of two


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_grid_tries_every_config_once_and_ends_with_the_last(
    name: str, dataset: StoredDataset, tmp_path: Path, pools: dict[int, Executor]
) -> None:
    small = {**SMALL, "width_2": 4, "dropout_2": 0.0}
    declared = spec(dataset, name, sampler="grid", pruner="none", search_space=small, n_trials=100)
    trials = run(declared, tmp_path / "inline")
    assert len({repr(trial.config) for trial in trials}) == len(trials) == size(declared.space) == 12
    assert ended_by(declared, trials) == "exhausted"
    assert ended_by(declared, trials[:-1]) is None
    assert facts(run(declared, tmp_path / "three", pools[3])) == facts(trials)
    assert facts(run(replace(declared, n_trials=7), tmp_path / "shorter")) == facts(trials)[:7]
    with pytest.raises(ParamsError, match=rf"{name}.search_space.lr = .*needs a step for grid"):
        specs.check_params(make_params(**{f"{name}__sampler": "grid", f"{name}__search_space": {**SPACE}}))


def test_the_size_of_a_space(dataset: StoredDataset) -> None:
    assert size(spec(dataset, search_space=SMALL).space) == 6 + 36
    assert size(spec(dataset, search_space={**SMALL, "epochs": {"type": "int", "low": 1, "high": 3}}).space) == 126
    searched = {"type": "categorical", "choices": ["Adam", "SGD"]}
    momentum = {"type": "categorical", "choices": [0.0, 0.9]}  # which SGD alone has
    assert size(spec(dataset, search_space={**SMALL, "optimizer": searched, "momentum": momentum}).space) == 126
    assert size(spec(dataset).space) == math.inf


def results(*told: tuple[str, float]) -> list[Result]:
    """Of two epochs each; (state, accuracy); each costs less than the one before."""
    return [
        Result(state, (Epoch(1.0, 1.0, 0.1), Epoch(1.0, 1.0, accuracy)), Cost(100 - n, 50, 50), "as told")  # type: ignore[arg-type]
        for n, (state, accuracy) in enumerate(told)
    ]


UP = ("COMPLETE", 0.5)  # on 80 images the standard error of 0.5 is 0.0559
NOISE, BETTER, GONE, FAILED = ("COMPLETE", 0.555), ("COMPLETE", 0.556), ("PRUNED", 0.9), ("FAIL", 0.9)


@pytest.mark.parametrize(
    ("name", "told", "changes", "ended"),
    [
        ("single_objective", [UP] * 9, {"n_trials": 4}, (4, "n_trials")),
        ("single_objective", [UP] * 9, {"max_epochs": 6}, (3, "max_epochs")),
        ("single_objective", [UP] * 9, {"max_epochs": 7}, (4, "max_epochs")),
        ("single_objective", [GONE, FAILED, UP], {"max_epochs": 6}, (3, "max_epochs")),
        ("single_objective", [UP] * 9, {"max_epochs": 8, "n_trials": 4}, (4, "n_trials")),
        ("single_objective", [UP] * 9, {"max_epochs": 100, "patience": 3}, (4, "patience")),
        ("single_objective", [UP, NOISE, NOISE, NOISE], {"patience": 3}, (4, "patience")),
        ("single_objective", [UP, UP, BETTER, UP, UP, UP], {"patience": 3}, (6, "patience")),
        ("single_objective", [UP, GONE, FAILED, GONE], {"patience": 3}, (4, "patience")),
        ("single_objective", [FAILED] * 6 + [UP] * 4, {"patience": 3}, (10, "patience")),
        ("single_objective", [("COMPLETE", 1.0), UP, UP], {"patience": 2}, (3, "patience")),
        ("single_objective", [FAILED] * 9, {"patience": 3}, (None, None)),
        ("multi_objective", [UP, UP, UP, UP], {"patience": 3}, (None, None)),  # cheaper ones of the same accuracy
        ("multi_objective", [BETTER, GONE, FAILED, FAILED], {"patience": 3}, (4, "patience")),
        ("multi_objective", [UP, GONE, NOISE, GONE, GONE], {"patience": 3}, (None, None)),
        ("multi_objective", [UP, UP, UP, UP, UP], {"patience": 3, "min_accuracy": 0.6}, (None, None)),
        ("multi_objective", [UP, BETTER, UP, UP, UP], {"patience": 3, "min_accuracy": 0.55}, (5, "patience")),
    ],
)
def test_the_trial_that_ends_a_study(
    dataset: StoredDataset,
    name: str,
    told: list[tuple[str, float]],
    changes: dict[str, Any],
    ended: tuple[int | None, str | None],
) -> None:
    stopping = Stopping(spec(dataset, name, **{"n_trials": 20} | changes))
    trials = (SimpleNamespace(config={}, result=result) for result in results(*told))
    reasons = ((number, stopping.tell(trial)) for number, trial in enumerate(trials, start=1))
    assert next((found for found in reasons if found[1]), (None, None)) == ended


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
    declared = specs.from_params(make_params(**changes), name, dataset)
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


def test_the_second_study_tries_the_firsts_best_after_ones_own(dataset: StoredDataset, tmp_path: Path) -> None:
    best = run(spec(dataset), tmp_path)[5].config
    own = make_params(multi_objective__first=[{"width": 5, "epochs": 3}])
    declared = specs.multi_objective(own, dataset, best)
    assert [config["width_1"] for config in declared.first] == [5, best["width_1"]]
    assert declared.first[1] == best
    assert specs.multi_objective(own, dataset, declared.first[0]).first == declared.first[:1]  # not twice
    assert specs.multi_objective(own, dataset, {**best, "width_1": 99}).first == declared.first[:1]
    small = make_params(multi_objective__max_flops=2 * (64 * 2 + 2 * 4))
    assert specs.multi_objective(small, dataset, best).first == ()


@pytest.mark.parametrize(
    ("name", "pruner", "same"),
    [
        ("single_objective", {"name": "median", "n_startup_trials": 5, "n_warmup_steps": 0}, "median"),
        ("single_objective", {"name": "percentile", "percentile": 25}, "percentile"),
        ("single_objective", {"name": "hyperband", "min_resource": 1, "max_resource": "auto"}, "hyperband"),
        ("multi_objective", {"name": "pareto", "margin": 0.02}, "pareto"),
    ],
)
def test_a_pruners_settings(
    name: str, pruner: dict[str, Any], same: str, dataset: StoredDataset, pools: dict[int, Executor], tmp_path: Path
) -> None:
    """The plain name has Optuna's, and is a mapping with nothing else; other settings come to the workers."""
    plain = spec(dataset, name, pruner=same, sampler="random")
    assert spec(dataset, name, pruner={"name": same}, sampler="random").identity == plain.identity
    trials = facts(run(plain, tmp_path))
    assert facts(run(spec(dataset, name, pruner=pruner, sampler="random"), tmp_path)) == trials
    late = {"min_resource": 4} if same == "hyperband" else {"n_warmup_steps": 4}
    waiting = spec(dataset, name, pruner={**pruner, **late}, sampler="random")
    assert waiting.identity != plain.identity
    waited = run(waiting, tmp_path, pools[3])
    assert all(trial.result.state == "COMPLETE" for trial in waited)
    assert any(trial[2] == "PRUNED" for trial in trials)


def test_what_is_done_meanwhile_comes_after_the_first_window_and_before_any_is_told(
    dataset: StoredDataset, tmp_path: Path
) -> None:
    declared, states = spec(dataset, n_trials=6), list[TrialState]()
    with journal.opened(tmp_path / declared.journal, declared.directions, lambda _: False) as opened:
        trials = study.run(
            declared, opened, InlineExecutor(), lambda: states.extend(trial.state for trial in opened.trials)
        )
        assert len(list(trials)) == 6
    assert states == [TrialState.RUNNING] * declared.window
