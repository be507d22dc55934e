"""The in-order window: one contract over every sampler and every pruner."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Dying, InlineExecutor, Killed, facts, make_params, run
from optuna.trial import TrialState
from tasks import failing, hangs_once, killed_if_wide, lacks_memory_if_wide

from reprotune.arithmetic import kernels
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.search import journal, study
from reprotune.search import spec as specs
from reprotune.search.history import History
from reprotune.search.pruners import ONE_OBJECTIVE, SEVERAL_OBJECTIVES
from reprotune.search.samplers import PRUNED_AS_COMPLETE, SAMPLERS, SINGLE_OBJECTIVE_ONLY
from reprotune.search.spec import StudySpec
from reprotune.search.trial import Result, Task
from reprotune.training.cost import Cost
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


@pytest.mark.parametrize(("name", "sampler", "pruner"), CONTRACT)
def test_contract(
    name: str, sampler: str, pruner: str, dataset: StoredDataset, pools: dict[int, Executor], tmp_path: Path
) -> None:
    """The same trials with 1 and 3 workers, in any order of finishing, after kills, and in a longer study."""
    declared = replace(spec(dataset, name, sampler=sampler, pruner=pruner, n_trials=14), window=4)
    trials = facts(run(declared, tmp_path / "inline"))
    assert [trial[0] for trial in trials] == list(range(14))
    assert len({str(trial[1]) for trial in trials}) > 7
    assert facts(run(declared, tmp_path / "one", pools[1])) == trials
    assert facts(run(declared, tmp_path / "three", pools[3])) == trials
    assert facts(run(declared, tmp_path / "backwards", Backwards())) == trials

    for kill in (3, 2, 5):
        with pytest.raises(Killed):
            run(declared, tmp_path / "killed", Dying(kill))
    assert facts(run(declared, tmp_path / "killed")) == trials

    assert facts(run(replace(declared, n_trials=9), tmp_path / "longer")) == trials[:9]
    assert facts(run(declared, tmp_path / "longer", Dying(5))) == trials  # it trains the other five
    assert facts(run(replace(declared, n_trials=9), tmp_path / "longer", Dying(0))) == trials[:9]


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
    """Not even one that was proposed before it; and the study can be lengthened."""
    clock = [1000.0]
    monkeypatch.setattr(study, "time", SimpleNamespace(time=lambda: clock[0], monotonic=lambda: clock[0]))
    monkeypatch.setattr("reprotune.search.trial.time.time", lambda: clock[0])
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


def test_identity(dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    base = spec(dataset)
    longer = [replace(base, n_trials=1), replace(base, timeout=9.0)]
    longer += [replace(base, max_epochs=1), replace(base, patience=1)]
    others = [replace(base, seed=1), replace(base, window=2), replace(base, sampler="gp"), replace(base, first=({},))]
    others += [replace(base, pruner_settings={"n_warmup_steps": 1}), replace(base, pruner="none")]
    others += [replace(base, space={**base.space, "lr": 0.1}), replace(base, objectives=("flops", "accuracy"))]
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
    declared = replace(spec(dataset, n_trials=8), trial_timeout=15.0 if work is hangs_once else None)
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
        specs.from_params(make_params(**changes), "single_objective", dataset)


def test_a_net_too_large_for_any_tensor_is_refused(dataset: StoredDataset) -> None:
    space = {"width": {"type": "int", "low": 4, "high": 2**62}}
    with pytest.raises(UserError, match=r"^params.yaml: single_objective.search_space, .*: too large to be built: .*$"):
        specs.from_params(make_params(single_objective__search_space=space), "single_objective", dataset)


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
