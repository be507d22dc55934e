"""A study's files: what they hold, and that equal trials give equal bytes."""

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_params, run

from reprotune import artifacts
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.results import best_so_far, winners, write
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial

Finished = tuple[StudySpec, list[Trial]]


@pytest.fixture(scope="module")
def single(dataset: StoredDataset, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    declared = declaration.from_params(make_params(single_objective__n_trials=20), "single_objective", dataset)
    return declared, run(declared, tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module")
def multi(dataset: StoredDataset, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    declared = declaration.from_params(make_params(multi_objective__n_trials=20), "multi_objective", dataset)
    return declared, run(declared, tmp_path_factory.mktemp("multi"))


def test_single_objective_files(single: Finished, tmp_path: Path) -> None:
    declared, trials = single
    metrics = write.write_single_objective(tmp_path, declared, trials)
    rows = artifacts.read_csv(tmp_path / "trials.csv")
    points = artifacts.read_csv(tmp_path / "learning_curves.csv")
    best = artifacts.read_yaml(tmp_path / "best_config.yaml")

    assert list(rows[0])[:7] == ["number", "state", "accuracy", "flops", "macs", "parameters", "epochs"]
    assert [int(row["number"]) for row in rows] == list(range(20))
    states = [row["state"] for row in rows]
    assert (metrics["complete"], metrics["pruned"]) == (states.count("COMPLETE"), states.count("PRUNED"))
    assert states.count("PRUNED") > 0
    for row, trial in zip(rows, trials, strict=True):
        own = [point for point in points if point["trial"] == row["number"]]
        assert [int(point["epoch"]) for point in own] == list(range(1, int(row["epochs"]) + 1))
        assert float(own[-1]["valid_accuracy"]) == float(row["accuracy"]) == trial.result.accuracy
        assert int(row["flops"]) == 2 * int(row["macs"])
        assert (row["state"] == "COMPLETE") == (row["epochs"] == row["params.epochs"])
        assert row["reason"] == (f"median after epoch {row['epochs']}" if row["state"] == "PRUNED" else "")
        assert row["params.width_2"] == str(trial.config.get("width_2", ""))

    complete = [float(row["accuracy"]) for row in rows if row["state"] == "COMPLETE"]
    assert best["accuracy"] == max(complete) == metrics["best_accuracy"]
    assert trials[best["number"]].config == best["params"]
    assert artifacts.read_json(tmp_path / "metrics.json") == metrics
    assert (metrics["stopped_by"], metrics["trials"]) == ("n_trials", 20)
    assert metrics["epochs"] == len(points)


def test_multi_objective_files(multi: Finished, tmp_path: Path) -> None:
    declared, trials = multi
    metrics = write.write_multi_objective(tmp_path, declared, trials)
    rows = artifacts.read_csv(tmp_path / "trials.csv")
    front = artifacts.read_csv(tmp_path / "pareto_front.csv")
    winners = artifacts.read_yaml(tmp_path / "best_configs.yaml")

    assert metrics["pruned"] == [row["state"] for row in rows].count("PRUNED") > 0
    for row in rows:
        assert (row["state"] == "COMPLETE") == (row["epochs"] == row["params.epochs"])
        assert row["reason"] == (f"pareto after epoch {row['epochs']}" if row["state"] == "PRUNED" else "")
    finished = [row for row in rows if row["state"] == "COMPLETE"]  # no other enters the front
    points = {row["number"]: (int(row["flops"]), float(row["accuracy"])) for row in finished}
    optimal = {
        number
        for number, (cost, accuracy) in points.items()
        if not any(c <= cost and a >= accuracy and (c, a) != (cost, accuracy) for c, a in points.values())
    }
    assert {row["number"] for row in front} == optimal
    assert [int(row["flops"]) for row in front] == sorted(int(row["flops"]) for row in front)
    assert metrics["pareto_optimal"] == len(front)
    within = ["within_1_point", "within_2_points", "within_5_points"]
    assert list(winners) == ["most_accurate", *within, "knee", "cheapest"]
    assert winners["most_accurate"]["number"] == int(front[-1]["number"])
    assert winners["cheapest"]["number"] == int(front[0]["number"])
    assert all(trials[winner["number"]].config == winner["params"] for winner in winners.values())
    assert metrics["hypervolume_reference"] == {"flops": 2 * (64 * 8 + 8 * 8 + 8 * 4), "accuracy": 0.0}

    best = best_so_far.series(declared, trials)["best_accuracy_by_trial"]
    assert best[-1] == metrics["best_accuracy"] == max(float(row["accuracy"]) for row in finished)
    volumes = best_so_far.series(declared, trials)["hypervolume_by_trial"]
    assert volumes[-1] == pytest.approx(metrics["hypervolume"])
    assert volumes == sorted(volumes)
    assert len(volumes) == 20


def test_the_bytes_do_not_depend_on_workers(
    single: Finished, multi: Finished, pools: dict[int, Executor], tmp_path: Path
) -> None:
    for declared, trials in (single, multi):
        again = run(declared, tmp_path / declared.name, pools[3])
        a, b = tmp_path / declared.name / "a", tmp_path / declared.name / "b"
        for folder, these in ((a, trials), (b, again)):
            (write.write_multi_objective if declared.cost else write.write_single_objective)(folder, declared, these)
        files = sorted(path.name for path in a.iterdir())
        assert len(files) == (7 if declared.cost else 6)
        for name in files:
            assert (a / name).read_bytes() == (b / name).read_bytes()


def test_a_shorter_study_has_the_first_rows(single: Finished, tmp_path: Path) -> None:
    declared, trials = single
    write.write_single_objective(tmp_path / "long", declared, trials)
    write.write_single_objective(tmp_path / "short", replace(declared, n_trials=9), trials[:9])
    long, short = ((tmp_path / name / "trials.csv").read_text().splitlines() for name in ("long", "short"))
    assert short == long[:10]


def test_a_timeout_is_told(single: Finished, tmp_path: Path) -> None:
    declared, trials = single
    assert write.write_single_objective(tmp_path, declared, trials[:9])["stopped_by"] == "timeout"


def test_what_ended_it_is_told(single: Finished, tmp_path: Path) -> None:
    declared, trials = single
    epochs = sum(len(trial.result.curve) for trial in trials[:9])
    for changes, reason in (({"max_epochs": epochs}, "max_epochs"), ({"max_epochs": epochs + 1}, "timeout")):
        ended = replace(declared, **changes)  # type: ignore[arg-type]
        assert write.write_single_objective(tmp_path, ended, trials[:9])["stopped_by"] == reason


def test_the_first_of_equals_is_best(single: Finished) -> None:
    _, trials = single
    best = winners.best(trials)
    assert best.number == min(t.number for t in winners.complete(trials) if t.result.accuracy == best.result.accuracy)
    assert winners.best([best, replace(best, number=best.number - 1)]).number == best.number - 1


def test_no_complete_trial_is_refused_with_the_reasons(single: Finished) -> None:
    declared, trials = single
    failed = replace(trials[0], result=replace(trials[0].result, state="FAIL", reason="Diverged: loss became nan"))
    with pytest.raises(UserError, match="no trial of 1 is complete: Diverged"):
        winners.best([failed])
    with pytest.raises(UserError, match="no trial of 0 is complete: the timeout came first"):
        winners.pareto_front(declared, [])
