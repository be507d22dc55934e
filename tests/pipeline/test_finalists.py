"""The best trials are trained again: the same repeats with any workers, after any kill, in a longer study."""

import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Dying, InlineExecutor, Killed, facts, make_params, run
from made_up import study as made_up_study
from mlflow import MlflowClient
from tracked import runs

from reprotune.data.stored import StoredDataset
from reprotune.execution.pool import Pool
from reprotune.params import Finalists
from reprotune.pipeline import finalists, retry
from reprotune.pipeline.run_study import backfill, run_study
from reprotune.results import read, winners
from reprotune.search.study import declaration, journal, window
from reprotune.search.study.seeds import seeds
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial, told
from reprotune.search.trial import Result, Task

NAMES = ("single_objective", "multi_objective")


def spec(dataset: StoredDataset, name: str = "single_objective", count: int = 3, **changes: Any) -> StudySpec:
    given = {f"{name}__{key}": value for key, value in changes.items()}
    return declaration.from_params(
        make_params(**{f"{name}__finalists": {"count": count, "repeats": 2}, **given}), name, dataset
    )


def conduct(declared: StudySpec, folder: Path, executor: Executor | None = None) -> list[Trial]:
    """The whole study with its finalists, its journal in `folder`."""
    executor = executor or InlineExecutor()
    with journal.opened(folder / declared.journal, declared.directions, lambda _: False) as opened:
        trials = list(window.run(declared, opened, executor))
        return finalists.train(declared, trials, opened, executor, lambda *_: None)


def repeats(trials: list[Trial]) -> dict[int, list[Any]]:
    """Of the finalists: all of their repeats but the time that they took."""
    return {t.number: [(r.state, r.curve, r.cost, r.reason) for r in t.repeats] for t in trials if t.repeats}


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, dataset: StoredDataset, pools: dict[int, Executor], tmp_path: Path) -> None:
    declared = spec(dataset, name, n_trials=10)
    trials = conduct(declared, tmp_path / "inline")
    expected = repeats(trials)
    assert [len(results) for results in expected.values()] == [2, 2, 2]
    assert repeats(conduct(declared, tmp_path / "three", pools[3])) == expected
    for kill in (4, 7, 1, 2):  # amid the trials, then amid the finalists
        with pytest.raises(Killed):
            conduct(declared, tmp_path / "killed", Dying(kill))
    assert repeats(conduct(declared, tmp_path / "killed")) == expected
    assert repeats(conduct(declared, tmp_path / "killed", Dying(0))) == expected


def test_trials_beyond_the_studys_end_are_not_before_them(
    dataset: StoredDataset, pools: dict[int, Executor], tmp_path: Path
) -> None:
    declared = replace(spec(dataset, max_epochs=8), window=8)
    pool = pools[1]
    assert isinstance(pool, Pool)
    with journal.opened(tmp_path / declared.journal, declared.directions, lambda _: False) as opened:
        trials = list(window.run(declared, opened, pool))
        assert len(trials) + len(pool.pending) > 8
        trained = finalists.train(declared, trials, opened, pool, lambda *_: None)
    assert not pool.pending
    assert repeats(trained) == repeats(conduct(declared, tmp_path / "inline"))


def test_a_kill_between_two_results_costs_one(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset, n_trials=6)
    expected = repeats(conduct(declared, tmp_path / "undisturbed"))
    trained = 0

    class Awaited(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            nonlocal trained
            trained += 1
            if trained == 3:
                raise Killed
            return super().result(timeout)

    class Late(InlineExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = Awaited()
            future.set_result(fn(*args, **kwargs))
            return future

    run(declared, tmp_path)
    with pytest.raises(Killed):
        conduct(declared, tmp_path, Late())
    assert repeats(conduct(declared, tmp_path, Dying(4))) == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_longer_study_trains_only_new_finalists(name: str, dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset, name, n_trials=14)
    shorter = replace(declared, n_trials=6)
    fresh = conduct(declared, tmp_path / "fresh")
    short = conduct(shorter, tmp_path)
    new = repeats(fresh).keys() - repeats(short).keys()
    assert 0 < len(new) < 6
    assert repeats(conduct(declared, tmp_path, Dying(8 + 2 * len(new)))) == repeats(fresh)
    assert repeats(conduct(shorter, tmp_path, Dying(0))) == repeats(short)
    more = replace(declared, finalists=Finalists(count=3, repeats=3))
    assert [len(t.repeats) for t in conduct(more, tmp_path, Dying(3)) if t.repeats] == [3, 3, 3]
    assert repeats(conduct(declared, tmp_path, Dying(0))) == repeats(fresh)


def test_none_is_todays_rule(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset, count=0)
    trials = conduct(declared, tmp_path)
    assert facts(conduct(replace(declared, n_trials=12), tmp_path, Dying(0))) == facts(trials)
    assert not repeats(trials)
    complete = winners.complete(trials)
    assert winners.best(trials).result.accuracy == max(trial.result.accuracy or 0.0 for trial in complete)


def test_repeats_have_seeds_of_their_own() -> None:
    given = [(seed, name, number) for seed in range(5) for name in NAMES for number in range(20)]
    firsts = [value for key in given for value in seeds(*key)]
    again = [value for key in given for repeat in range(4) for value in seeds(*key, repeat)]
    assert len({*firsts, *again}) == len(firsts) + len(again)


def test_a_repeat_is_never_pruned_and_has_another_seed(dataset: StoredDataset, tmp_path: Path) -> None:
    tasks = list[Task]()

    class Spy(InlineExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            tasks.append(args[0])
            return super().submit(fn, *args, **kwargs)

    declared = spec(dataset, pruner={"name": "median", "n_warmup_steps": 1}, n_trials=8)
    trials = conduct(declared, tmp_path, Spy())
    again = tasks[8:]
    assert len(again) == 6
    assert {task.pruner for task in again} == {"none"}
    assert len({task.seed for task in tasks}) == 14
    assert all(r.curve[-1:] == r.curve and r.state == "COMPLETE" for trial in trials for r in trial.repeats)


EIGHTY = {"valid": dict.fromkeys("abcd", 20)}  # images, of which 0.9 has a standard error of 0.034
FRONT = [  # flops, accuracy
    (100, 0.50),
    (100, 0.40),
    (200, 0.70),
    (200, 0.66),
    (300, 0.90),
    (300, 0.60),
    (400, 0.88),
    (500, 0.86),
    (500, 0.95),
]


@pytest.mark.parametrize(("count", "expected"), [(0, []), (2, [8, 4]), (4, [8, 4, 2, 0]), (9, [8, 4, 2, 0, 6, 3])])
def test_the_finalists_of_a_front(dataset: StoredDataset, count: int, expected: list[int]) -> None:
    """Its points, the most accurate first, then what lies within the noise of it, the nearest first."""
    given = [{"flops": flops, "accuracy": accuracy} for flops, accuracy in FRONT]
    few = {"count": count, "repeats": 2}
    one = made_up_study(dataset, given, "multi_objective", balance=EIGHTY, multi_objective__finalists=few)
    assert [trial.number for trial in finalists.chosen(one.spec, one.trials)] == expected


def test_the_finalists_of_one_objective(dataset: StoredDataset) -> None:
    given: list[dict[str, Any]] = [{"accuracy": 0.8}, {"accuracy": 0.95, "state": "PRUNED"}, {"accuracy": 0.2}]
    given += [{"accuracy": 0.9}, {"accuracy": 0.8}, {"accuracy": 0.99, "state": "FAIL"}]
    one = made_up_study(dataset, given, single_objective__finalists={"count": 3, "repeats": 1})
    assert [trial.number for trial in finalists.chosen(one.spec, one.trials)] == [3, 0, 4]
    assert finalists.chosen(one.spec, []) == []


def failing(machine: bool) -> Callable[[Task], Result]:
    return lambda task: Result("FAIL", (), None, "as told", by_machine=machine)


@pytest.mark.parametrize("machine", [True, False])
def test_a_repeat_that_fails(
    dataset: StoredDataset, repository: Path, monkeypatch: pytest.MonkeyPatch, machine: bool
) -> None:
    """It has nothing right; if the machine let it down, `make retry` trains it again, and nothing else."""
    declared = spec(dataset, n_trials=6)
    expected = repeats(conduct(declared, repository / "undisturbed"))
    run(declared, repository)
    first = next(iter(sorted(expected)))

    class Failing(InlineExecutor):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            ill = args[0].number == first and args[0].seed == seeds(declared.seed, declared.name, first, 1)[1]
            return super().submit(failing(machine) if ill else fn, *args, **kwargs)

    trial = conduct(declared, repository, Failing())[first]
    assert winners.accuracies(trial)[2] == 0.0
    assert retry.forget_failures(declared) == ([first] if machine else [])
    again = repeats(conduct(declared, repository, Dying(1 if machine else 0)))
    assert (again == expected) == machine


@pytest.mark.parametrize("name", NAMES)
def test_they_are_shown_and_in_result_files_and_mlflow(
    name: str,
    dataset: StoredDataset,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run twice, nothing doubles; and the journal and the result files say the same of them."""
    monkeypatch.setattr("sys.argv", ["stage"])
    declared = spec(dataset, name, n_trials=8)
    run_study(declared, InlineExecutor(), anew=False)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[finalists")]
    assert [line.split("]")[0] for line in lines] == [f"[finalists {done}/6" for done in range(1, 7)]
    files = {path: path.read_bytes() for path in declared.folder.iterdir()}
    run_study(declared, Dying(0), anew=False)
    assert {path: path.read_bytes() for path in declared.folder.iterdir()} == files

    with journal.opened(declared.journal, declared.directions, lambda _: False) as opened:
        trials = finalists.with_repeats(declared, told(declared, opened), opened)
    back = read.read_trials(declared.folder, declared)
    assert list(map(winners.on_valid, winners.complete(back))) == list(map(winners.on_valid, winners.complete(trials)))

    shutil.rmtree("studies")
    assert backfill(declared) == 8
    client, (_, nested) = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}"), runs(repository, name)
    for trial in trials:
        histories = (client.get_metric_history(nested[trial.number].info.run_id, key) for key in ("accuracy_mean", "n"))
        logged = [[metric.value for metric in history] for history in histories]
        assert logged == ([[winners.accuracy(trial)], [3]] if trial.repeats else [[], []])


def test_a_forced_run_goes_on_with_unfinished_finalists(dataset: StoredDataset, repository: Path) -> None:
    declared = spec(dataset, n_trials=6)
    run(declared, repository)
    run_study(declared, Dying(6), anew=True)  # nothing but the six repeats
    with pytest.raises(Killed):
        run_study(declared, Dying(0), anew=True)  # finished: from its first trial
