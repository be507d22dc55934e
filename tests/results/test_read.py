"""Results and MLflow can be made again, and checked, from what a clone holds."""

import shutil
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import SPACE, Anew, Dying, InlineExecutor, Killed, facts, make_params, run
from made_up import study
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from tracked import runs

from reprotune import artifacts
from reprotune.data.stored import StoredDataset
from reprotune.errors import ParamsError, UserError
from reprotune.execution.pool import WorkerDied
from reprotune.pipeline import run_study, verify
from reprotune.results import read, write
from reprotune.search.pruners import ONE_OBJECTIVE, SEVERAL_OBJECTIVES
from reprotune.search.study import declaration, journal
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import frozen_trial
from reprotune.tracking import store, trial_run
from reprotune.training.cost import Caps
from reprotune.training.optimizers import OPTIMIZERS, SCHEDULES
from stages import tracking


def conduct(dataset: StoredDataset, name: str = "single_objective", **changes: object) -> StudySpec:
    params = make_params(**{f"{name}__{key}": value for key, value in changes.items()})
    declared = declaration.from_params(params, name, dataset)
    run_study.run_study(declared, InlineExecutor(), anew=False)
    return declared


class Deadly(InlineExecutor):
    """The worker of trial 1 dies."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        if args[0].number != 1:
            return super().submit(fn, *args, **kwargs)
        future: Future[Any] = Future()
        future.set_exception(WorkerDied())
        return future


def statuses(experiment: str) -> dict[str, str]:
    client = MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return {run.info.run_name: run.info.status for run in client.search_runs([found.experiment_id])}


@pytest.mark.parametrize(
    ("name", "pruner", "rung"),
    [("single_objective", pruner, None) for pruner in ONE_OBJECTIVE]
    + [("multi_objective", pruner, None) for pruner in SEVERAL_OBJECTIVES]
    + [("single_objective", "none", {"epoch": 1, "share": 0.2, "among": 5})]
    + [("multi_objective", "pareto", {"epoch": 1, "margin": 0.02})],
)
@pytest.mark.usefixtures("repository", "untracked")
def test_every_trial_is_trained_again_to_the_same_bits(
    dataset: StoredDataset, name: str, pruner: str, rung: dict[str, float] | None
) -> None:
    declared = conduct(dataset, name, pruner=pruner, rung=rung, n_trials=14)
    numbers = list(range(14))
    shutil.rmtree("studies")
    found = list(verify.differences(declared, numbers, {}, Anew()))
    assert found == [(number, "") for number in numbers]
    assert verify.environment(declared) == "in nothing that was recorded"


def choices(*values: object) -> dict[str, object]:
    return {"type": "categorical", "choices": values}


EVERYTHING = {
    "model": choices("mlp", "cnn"),
    "layers": 1,
    "width": {"type": "int", "low": 2, "high": 8},
    "blocks": {"type": "int", "low": 1, "high": 2},
    "channels": {"type": "int", "low": 2, "high": 4},
    "kernel": {"type": "int", "low": 1, "high": 5, "step": 2},
    "pooling": choices("flatten", "average"),
    "optimizer": choices(*OPTIMIZERS),
    "momentum": {"type": "float", "low": 0.0, "high": 0.9},
    "epochs": 2,
    "schedule": choices(*SCHEDULES),
    "weight_decay": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
    "shift": {"type": "int", "low": 0, "high": 2},
    "flip": choices(True, False),
    "cutout": choices(0, 3),
    "label_smoothing": choices(0.0, 0.1),
    "normalise": choices(True, False),
}


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_a_study_of_all_that_can_be_searched(repository: Path, dataset: StoredDataset, name: str) -> None:
    declared = conduct(dataset, name, search_space=EVERYTHING, n_trials=14)
    written = read.read_trials(declared.folder, declared)
    assert {trial.config["model"] for trial in written} == {"mlp", "cnn"}
    assert not [trial.result.reason for trial in written if trial.result.state == "FAIL"]
    numbers = list(range(14))
    tracked = trial_run.curves(declared, numbers)
    assert sorted(tracked) == numbers
    found = list(verify.differences(declared, numbers, tracked, Anew()))
    assert found == [(number, "") for number in numbers]


def test_a_difference_is_found(repository: Path, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = conduct(dataset, "multi_objective", n_trials=6)
    folder = declared.folder
    trials = read.read_trials(folder, declared)
    tracked = trial_run.curves(declared, [0])

    curves = (folder / "learning_curves.csv").read_text()
    second = trials[2].result.curve[1].valid_loss
    (folder / "learning_curves.csv").write_text(curves.replace(repr(second), repr(second + 1e-9)))
    lines = (folder / "trials.csv").read_text().splitlines()
    cost = trials[3].result.cost
    assert cost is not None
    lines[4] = lines[4].replace(f",{cost.flops},", f",{cost.flops + 2},")
    (folder / "trials.csv").write_text("\n".join(lines) + "\n")
    tracked[0][0] = tracked[0][0]._replace(train_loss=0.0)

    found = dict(verify.differences(declared, [0, 1, 2, 3], tracked, Anew()))
    assert found[0] == "MLflow has a different curve from epoch 1"
    assert found[1] == ""
    assert found[2] == "a different curve from epoch 2"
    assert found[3].startswith("cost is Cost(flops=")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert "MKL_CBWR AVX2 → COMPATIBLE; NVIDIA_TF32_OVERRIDE unset → 1" in verify.environment(declared)
    made_by = folder / "study.json"
    artifacts.write_json(made_by, artifacts.read_json(made_by) | declared.environment)
    for name in ("MKL_CBWR", "NVIDIA_TF32_OVERRIDE"):
        monkeypatch.delenv(name)
    assert "NVIDIA_TF32_OVERRIDE 1 → unset" in verify.environment(declared)


def test_what_the_machine_fails_again_is_as_recorded(repository: Path, dataset: StoredDataset) -> None:
    declared = declaration.from_params(make_params(single_objective__n_trials=3), "single_objective", dataset)
    run_study.run_study(declared, Deadly(), anew=False)
    assert "1,FAIL" in (declared.folder / "trials.csv").read_text()
    assert list(verify.differences(declared, [0, 1, 2], {}, Deadly())) == [(0, ""), (1, ""), (2, "")]
    assert dict(verify.differences(declared, [1], {}, Anew()))[1].startswith(
        "is COMPLETE, recorded is FAIL, WorkerDied: "
    )


def test_a_studys_run_tells_how_many_trials_it_has(repository: Path, dataset: StoredDataset) -> None:
    declared = conduct(dataset, n_trials=50, max_epochs=6)
    count = len(artifacts.read_csv(declared.folder / "trials.csv"))
    assert 1 < count < 50
    assert any(name.endswith(f", {count} trials") for name in statuses("single_objective"))


def test_what_there_is_before_the_evaluation_is_tracked(
    repository: Path, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    conduct(dataset, n_trials=2)
    monkeypatch.setattr("reprotune.params.load", lambda: make_params(single_objective__n_trials=2))
    monkeypatch.setattr("reprotune.data.stored.open_verified", lambda _: dataset)
    capsys.readouterr()
    tracking.main()
    first, second, last = capsys.readouterr().out.splitlines()
    assert [name for name in statuses("single_objective") if name.endswith(", 2 trials")]
    assert (first, second) == ("single_objective: MLflow has its 2 trials", "multi_objective: has not begun")
    assert last.startswith("evaluate: is left out: results/report.html is missing")


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
@pytest.mark.usefixtures("repository", "untracked")
def test_result_files_are_read_back(dataset: StoredDataset, name: str) -> None:
    declared = conduct(dataset, name, n_trials=14)
    written = read.read_trials(declared.folder, declared)
    rows = artifacts.read_csv(declared.folder / "trials.csv")
    assert [trial.optuna.number for trial in written] == [int(row["number"]) for row in rows]
    assert [trial.result.state for trial in written] == [row["state"] for row in rows]
    before = {path: path.read_bytes() for path in Path("results").rglob("*.*")}
    shutil.rmtree("results")
    run_study.run_study(declared, InlineExecutor(), anew=False)
    assert {path: path.read_bytes() for path in Path("results").rglob("*.*")} == before
    assert facts(read.read_trials(declared.folder, declared)) == facts(written)


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
@pytest.mark.parametrize("journals", ["journals", "no journals"])
def test_a_lost_store_is_made_again(repository: Path, dataset: StoredDataset, name: str, journals: str) -> None:
    declared = conduct(dataset, name, n_trials=5)
    expected = statuses(name)
    assert len(expected) == 6
    for path in repository.glob("mlflow.db*"):
        path.unlink()
    if journals == "no journals":
        shutil.rmtree("studies")
    client = MlflowClient(f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    written = set[str]()
    for _ in range(2):
        assert run_study.backfill(declared) == 5
        assert statuses(name) == expected
        parents, nested = runs(repository, name)
        written |= {run.info.run_id for run in (*parents, *nested.values())}
        locations = {e.name: e.artifact_location for e in client.search_experiments() if e.name != "Default"}
        assert locations == {name: (Path.cwd() / "mlruns" / name).as_uri()}
        points = client.get_metric_history(parents[0].info.run_id, "best_accuracy_by_trial")
        assert sorted(point.step for point in points) == list(range(5))
    assert len(written) == 6  # the second time, nothing is written again


@pytest.mark.parametrize("trainings", [4, 11])
def test_a_forced_run_that_was_killed_takes_nothing_from_mlflow(
    repository: Path, dataset: StoredDataset, trainings: int
) -> None:
    """Amid the trials or the finalists; DVC brings the results back, which hold more than the journal."""
    declared = conduct(dataset, n_trials=10)
    (parent,), before = runs(repository, "single_objective")
    with pytest.raises(Killed):
        run_study.run_study(declared, Dying(trainings), anew=True)
    assert run_study.backfill(declared) == 10
    (again,), after = runs(repository, "single_objective")
    assert {run.info.run_id for run in after.values()} == {run.info.run_id for run in before.values()}
    assert again.data.tags[store.NOTE] == parent.data.tags[store.NOTE]


def test_of_a_study_that_has_grown_the_journal_holds_more(repository: Path, dataset: StoredDataset) -> None:
    conduct(dataset, n_trials=4)
    longer = declaration.from_params(make_params(single_objective__n_trials=10), "single_objective", dataset)
    with pytest.raises(Killed):
        run_study.run_study(longer, Dying(5), anew=False)
    told = run_study.backfill(longer)
    (parent,), nested = runs(repository, "single_objective")
    assert len(nested) == told > 4
    assert parent.data.metrics["trials"] == 4  # as until its end
    assert parent.info.status == "KILLED"
    assert parent.data.tags[store.NOTE].startswith("4 trials")


def test_results_of_other_params_are_not_taken_for_the_studys_own(repository: Path, dataset: StoredDataset) -> None:
    conduct(dataset, n_trials=4)
    shutil.rmtree("studies")
    before = statuses("single_objective")
    for change in ({"seed": 7}, {"single_objective__pruner": "none"}, {"single_objective__search_space": EVERYTHING}):
        params = make_params(**change)
        declared = declaration.from_params(params, "single_objective", dataset)
        with pytest.raises(
            UserError, match="results/single_objective: holds a study of other params or data; run `dvc"
        ):
            run_study.backfill(declared)
        with pytest.raises(UserError, match="holds a study of other params"):
            list(verify.differences(declared, [0], {}, Anew()))
    assert statuses("single_objective") == before


def test_results_of_another_environment_are_tracked_as_its_own(
    repository: Path, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = conduct(dataset, n_trials=4)
    expected = statuses("single_objective")
    shutil.rmtree("studies")
    for path in repository.glob("mlflow.db*"):
        path.unlink()
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    elsewhere = replace(declared)
    assert elsewhere.identity != declared.identity
    run_study.backfill(elsewhere)
    assert statuses("single_objective") == expected
    client, experiment = store.experiment("single_objective")
    assert store.find(client, experiment, declared.identity)
    assert not store.find(client, experiment, elsewhere.identity)


@pytest.mark.parametrize("after", [0, 7, 25])
def test_a_store_that_fails_in_the_middle_costs_no_trial(
    repository: Path, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The study goes on without MLflow, to the same bytes, and MLflow is made up later."""
    declared = conduct(dataset, n_trials=10)
    expected, runs = {p: p.read_bytes() for p in Path("results").rglob("*.*")}, statuses("single_objective")
    for folder in ("studies", "results"):
        shutil.rmtree(folder)
    for path in repository.glob("mlflow.db*"):
        path.unlink()
    calls = iter(range(10_000))
    log_batch = MlflowClient.log_batch

    def failing(self: MlflowClient, *args: object, **kwargs: object) -> object:
        if kwargs.get("metrics") and next(calls) >= after:
            raise MlflowException("database is locked")
        return log_batch(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", failing)
        conduct(dataset, n_trials=10)
    assert {p: p.read_bytes() for p in Path("results").rglob("*.*")} == expected
    run_study.backfill(declared)
    assert statuses("single_objective") == runs


def test_a_store_that_cannot_be_opened_is_refused_in_one_line(repository: Path, dataset: StoredDataset) -> None:
    Path("mlflow.db").write_text("this is no database " * 100)
    with pytest.raises(UserError, match=r"MLflow's store at .*mlflow.db cannot be used: file is not a database") as e:
        conduct(dataset)
    assert "\n" not in str(e.value)
    assert not Path("results").exists()


WIDER = {**SPACE, "lr": {"type": "float", "low": 1e-3, "high": 1.0, "log": True}, "layers": 1}


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_what_lies_in_another_space_is_adopted(
    repository: Path, dataset: StoredDataset, pools: dict[int, Executor], name: str
) -> None:
    """As told, as the first trials, after which the study goes on; with any workers, after a kill, and verified."""
    older = conduct(dataset, name, n_trials=14)
    told = read.read_trials(older.folder, older)
    shutil.copytree(older.folder, Path("adopted") / name)
    changes = {
        "adopt": True,
        "search_space": WIDER,
        "n_trials": 14,
        "first": [{"width": 3, "epochs": 2}],
        "sampler": "random",
    }
    params = make_params(**{f"{name}__{key}": value for key, value in changes.items()})
    declared = read.with_adopted(declaration.from_params(params, name, dataset))
    fitting = [t for t in told if t.config["lr"] >= 1e-3 and t.config["layers"] == 1]
    assert 1 < len(fitting) < 12
    kept = [(config, result.state, result.curve, result.cost) for config, result in declared.adopted]
    assert kept == [(t.config, t.result.state, t.result.curve, t.result.cost) for t in fitting]
    assert declared.identity != replace(declared, adopted=()).identity

    trials = run(declared, Path("inline"))
    assert facts(trials)[: len(fitting)] == [
        (number, t.config, t.result.state, t.result.curve, t.result.cost, declared.adopted[number][1].reason)
        for number, t in enumerate(fitting)
    ]
    assert trials[len(fitting)].config["width_1"] == 3
    assert len(trials) == 14
    assert facts(run(declared, Path("pool"), pools[3])) == facts(trials)
    with pytest.raises(Killed):
        run(declared, Path("killed"), Dying(2))
    assert facts(run(declared, Path("killed"), Dying(14 - len(fitting)))) == facts(trials)
    for left, asked in ((1, 1), (1, 2), (0, 1)):  # killed as they are adopted, also between a trial's two records
        path = Path(f"adopting {left} {asked}") / declared.journal
        with journal.opened(path, declared.directions, lambda _: False) as opened:
            for number, (config, result) in enumerate(declared.adopted[:asked]):
                opened.ask(frozen_trial(declared, number, config, None))
                if number < left:
                    opened.tell(number, result, declared.values(result), 0.0)
        assert facts(run(declared, path.parents[1], Dying(14 - len(fitting)))) == facts(trials)

    run_study.run_study(declared, InlineExecutor(), anew=False)
    shutil.rmtree("studies")
    assert facts(read.read_trials(declared.folder, declared)) == facts(trials)
    found = list(verify.differences(declared, range(14), trial_run.curves(declared, range(14)), Anew()))
    assert found == [(number, "") for number in range(14)]


def test_what_cannot_be_adopted_is_refused(repository: Path, dataset: StoredDataset) -> None:
    older = conduct(dataset, n_trials=2)
    declared = replace(older, adopt=True)
    with pytest.raises(ParamsError, match="adopt = True: adopted/single_objective holds no study"):
        read.with_adopted(declared)
    shutil.copytree(older.folder, "adopted/single_objective")
    made_by = Path("adopted/single_objective/study.json")
    content = artifacts.read_json(made_by)
    assert len(read.with_adopted(replace(declared, sampler="gp")).adopted) == 2
    artifacts.write_json(made_by, content | {"dataset": "0", "metric": "balanced_accuracy", "torch": "1.0"})
    with pytest.raises(UserError, match="of another dataset, metric, torch: its trials cannot be adopted"):
        read.with_adopted(declared)


@pytest.mark.usefixtures("repository", "untracked")
def test_what_was_adopted_elsewhere_is_read(dataset: StoredDataset) -> None:
    older = conduct(dataset, n_trials=2)
    shutil.copytree(older.folder, "adopted/single_objective")
    declared = read.with_adopted(replace(older, adopt=True))
    run_study.run_study(declared, InlineExecutor(), anew=False)
    for made_by in (Path("adopted/single_objective/study.json"), Path("results/single_objective/study.json")):
        artifacts.write_json(made_by, artifacts.read_json(made_by) | {"kernels": "another processor's"})
    params = make_params(single_objective__n_trials=2, single_objective__adopt=True)
    spec, _ = read.read_studies(params, dataset)
    assert facts(read.read_trials(spec.folder, spec))[0][-1] == "adopted: trial 0"


def test_what_failed_and_what_is_above_a_cap_is_not_adopted(repository: Path, dataset: StoredDataset) -> None:
    trials: list[dict[str, Any]] = [{"flops": 300}, {"state": "FAIL", "reason": "Diverged: x"}, {"flops": 100}]
    older = study(dataset, trials)
    write.write_trials(Path("adopted/single_objective"), older.spec, older.trials)
    declared = read.with_adopted(replace(older.spec, adopt=True, caps=Caps(max_flops=200)))
    assert [result.reason for _, result in declared.adopted] == ["adopted: trial 2"]
