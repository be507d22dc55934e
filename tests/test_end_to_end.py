"""The real `dvc repro` in a clone: what a user runs, and what the user finds."""

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import pytest
from clone import ASKS, TRIALS, Clone
from conftest import HEAVY
from mlflow import MlflowClient

from reprotune.artifacts import read_csv, read_json, read_yaml
from reprotune.results.winners import WINNERS


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """One worker, since each one more takes seconds to start; how many there are is a test's below."""
    clone = Clone(tmp_path_factory.mktemp("a clone"))
    clone.change("execution", workers=1)
    for name in ("single_objective", "multi_objective"):
        clone.change(name, finalists={"count": 2, "repeats": 1})
    clone.run("dvc", "repro")
    clone.commit("The first run")
    yield clone
    shutil.rmtree(clone.path)


def test_the_files_that_a_user_finds(clone: Clone) -> None:
    results = clone.path / "results"
    assert {path.removeprefix("results/") for path in clone.results() if not path.endswith(".svg")} == {
        *(f"{name}_objective/{file}" for name in ("single", "multi") for file in ("trials.csv", "metrics.json")),
        *(f"{name}_objective/{file}" for name in ("single", "multi") for file in ("learning_curves.csv", "study.json")),
        *("single_objective/best_config.yaml", "multi_objective/best_configs.yaml"),
        *("multi_objective/pareto_front.csv", "evaluation/metrics.json", "evaluation/test_scores.csv"),
        *("model/model.json", "model/weights.safetensors", "report.html", "advice.txt"),
        *("dataset/figures/samples.png", "evaluation/figures/mistakes.png"),
        *("single_objective/finalists.csv", "multi_objective/finalists.csv", "evaluation/model_metrics.json"),
        *(f"evaluation/{file}.csv" for file in ("predictions", "classes", "confusion_matrix", "calibration")),
    }
    for name in ("single_objective", "multi_objective"):
        assert [int(row["number"]) for row in read_csv(results / name / "trials.csv")] == list(range(TRIALS))
    best = read_yaml(results / "single_objective/best_config.yaml")
    (first, *_) = read_csv(results / "multi_objective/trials.csv")
    assert {name: first[f"params.{name}"] for name in best["params"]} == {n: str(v) for n, v in best["params"].items()}
    scores = read_json(results / "evaluation/metrics.json")
    assert list(scores) == ["best", *WINNERS, "default"]
    assert all(score["test_accuracy"]["n"] == 2 for score in scores.values())


def test_a_second_run_has_nothing_to_do(clone: Clone) -> None:
    assert "up to date" in clone.run("dvc", "repro")
    assert clone.status() == ""


TRACKED = {"mlflow", "optuna", "pandas", "scipy"}
TAKEN = {
    "download": set(),
    "single_objective": TRACKED,
    "multi_objective": TRACKED,
    "evaluate": {"optuna"},
    "report": {*TRACKED, "matplotlib"},
    "verify": TRACKED,
}


def test_heavy_modules_that_a_stage_takes(clone: Clone) -> None:
    """Its workers' server alone takes torch, once."""
    printed = clone.run("python", "-m", "stages.verify", "--trials", "1")
    assert printed.count("1 of 1 trials agree, 1 of them compared with MLflow too") == 2
    assert {stage: clone.imported(stage) & HEAVY for stage in TAKEN} == TAKEN


def test_mlflow_has_a_run_a_trial(clone: Clone) -> None:
    status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    for name in ("single_objective", "multi_objective"):
        rows = read_csv(clone.path / "results" / name / "trials.csv")
        assert clone.statuses(name)[0] == Counter(status[row["state"]] for row in rows)
    assert sum(clone.statuses("evaluate")[0].values()) == len(WINNERS) + 2


def artifacts(clone: Clone, experiment: str) -> set[str]:
    """The files of the newest parent run."""
    client = MlflowClient(f"sqlite:///{clone.path / 'mlflow.db'}")
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"])
    run = next(run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    paths = client.list_artifacts(run.info.run_id)
    below = (file for path in paths if path.is_dir for file in client.list_artifacts(run.info.run_id, path.path))
    return {file.path for file in (*paths, *below) if not file.is_dir}


def test_mlflow_has_the_tables_the_figures_and_the_report(clone: Clone) -> None:
    for name in ("single_objective", "multi_objective"):
        folder = clone.path / "results" / name
        written = {str(path.relative_to(folder)) for path in folder.rglob("[!.]*.*")}
        assert len(written) > 9
        shown = {"report.html", "dataset/dataset.json", "dataset/class_balance.csv", "dataset/samples.png"}
        assert artifacts(clone, name) == written | shown
    assert artifacts(clone, "evaluate") >= {"report.html", "test_scores.csv", "figures/test_scores.svg"}
    model = {path.name for path in (clone.path / "mlruns").glob("*/models/*/artifacts/data/*")}
    assert model == {"model.json", "weights.safetensors"}


def test_a_change_of_a_figure_runs_the_report_alone(clone: Clone) -> None:
    style = clone.path / "reprotune/figures/style.py"
    style.write_text(style.read_text().replace("#0072B2", "#0073B3"))
    printed = clone.run("dvc", "repro")
    assert re.findall("Running stage '(.*)'", printed) == ["report"]
    assert "#0073b3" in (clone.path / "results/single_objective/figures/pruning.svg").read_text()
    clone.run("git", "checkout", "reprotune", "dvc.lock")
    assert "Running stage" not in clone.run("dvc", "repro")
    assert clone.status() == ""


def test_the_notebook_runs(clone: Clone) -> None:
    cells = json.loads((clone.path / "notebooks/explore.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    counts = clone.run("python", "-c", "\n".join([*code, "print(len(trials), len(newest), len(scores))"]))
    assert counts.splitlines()[-1] == f"{TRIALS} {TRIALS} {(len(WINNERS) + 2) * 2}"


STAGES_IN_ONE_PROCESS = """
from reprotune import cli
from stages import evaluate, multi_objective, report, single_objective

def main():
    for stage in (single_objective, multi_objective, evaluate, report):
        stage.main()

cli.run(main)
"""


def elsewhere(clone: Clone, folder: Path) -> Clone:
    """A copy in which nothing has been run."""
    other = copy(clone)
    other.path = folder
    shutil.copytree(clone.path, folder, ignore=shutil.ignore_patterns("studies", "mlflow.db*"))
    for path in other.results():
        (folder / path).unlink()
    return other


NO_TEMPORARY = {"TMPDIR": "/no/such/folder"}
ASCII_ONLY = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", **NO_TEMPORARY}


def test_the_same_bytes_from_nothing_with_another_number_of_workers(clone: Clone, tmp_path: Path) -> None:
    """In a folder with a name that is no ASCII, with a locale that is not UTF-8, and none for temporary files."""
    other = elsewhere(clone, tmp_path / "eine Kopie für später")
    other.change("execution", workers=3)
    other.run(sys.executable, "-c", STAGES_IN_ONE_PROCESS, variables={"LC_ALL": "C", **NO_TEMPORARY})
    assert other.results() == clone.results()
    assert other.status().split() == ["M", "params.yaml"]
    assert sum(other.statuses("single_objective")[0].values()) == TRIALS


def test_force_trains_a_finished_study_anew_in_a_locale_that_is_ascii_alone(clone: Clone) -> None:
    expected, runs = clone.results(), clone.statuses("single_objective")
    clone.run("dvc", "repro", "-f", "-s", "single_objective", variables=ASCII_ONLY)
    assert list((clone.path / "studies").glob("single_objective-*.previous"))
    assert clone.results() == expected
    assert clone.status() == ""
    assert clone.statuses("single_objective") == runs


def test_a_folder_that_the_locale_cannot_name_is_refused(clone: Clone, tmp_path: Path) -> None:
    """By MLflow, which could not name its database."""
    other = elsewhere(clone, tmp_path / "für später")
    printed = other.run(sys.executable, "-m", "stages.single_objective", variables=ASCII_ONLY, code=2)
    assert other.results() == {}
    assert printed.splitlines()[-1].startswith("error: MLflow's store at ")
    assert printed.count("\n") == 2  # what the stage is about to do, and the error


def test_dvc_commands(clone: Clone) -> None:
    assert "multi.hypervolume" in clone.run("dvc", "metrics", "show")
    assert "index.html" in clone.run("dvc", "plots", "show")
    text = (clone.path / "params.yaml").read_text()
    (clone.path / "params.yaml").write_text(text.replace("n_trials: 8", "n_trials: 9", 1))
    assert "single_objective.n_trials" in clone.run("dvc", "params", "diff")
    clone.run("git", "checkout", "params.yaml")


def test_an_experiment_ends_up_in_the_repositorys_store(clone: Clone) -> None:
    """So do the queue's, which tests/cluster/test_team.py runs. Its files are made from nothing, here in ASCII."""
    change = ("-S", "single_objective.n_trials=2")
    command = ("dvc", "exp", "run", "-n", "elsewhere", "--temp", *change, "single_objective")
    before = clone.statuses("single_objective")
    clone.run(*command, variables=ASCII_ONLY)
    *others, made = clone.statuses("single_objective")
    assert (others, sum(made.values())) == (before, 2)
    assert "elsewhere" in clone.run("dvc", "exp", "show", "--csv")
    assert clone.status() == ""


def test_bad_input_is_one_line_and_nothing_is_trained(clone: Clone) -> None:
    expected = clone.results()
    text = (clone.path / "params.yaml").read_text()
    (clone.path / "params.yaml").write_text(text.replace("sampler: tpe", "sampler: tpx"))
    printed = clone.run(sys.executable, "-m", "stages.single_objective", code=2)
    assert printed == (
        f"{TRIALS} trials, tpx + median, 1 worker\n"  # what the stage is about to do, before its imports
        "error: params.yaml: single_objective.sampler = 'tpx': must be one of tpe, random, nsga2, gp, grid, cmaes\n"
    )
    assert clone.results() == expected
    clone.run("git", "checkout", "params.yaml")


def test_the_summary(clone: Clone) -> None:
    printed = clone.run(sys.executable, "-m", "stages.summary")
    best = read_json(clone.path / "results/evaluation/metrics.json")["best"]["test_accuracy"]
    assert f"{best['mean']:.4f} ± {best['std']:.4f}" in printed
    assert f"{TRIALS} trials" in printed
    assert "mlflow ui" in printed


def test_nothing_asked_for_a_network(clone: Clone) -> None:
    """In all of the above, with DVC, the workers and MLflow."""
    assert not clone.refused.exists(), clone.refused.read_text()
    clone.run(sys.executable, "-c", ASKS, code=1)
    assert clone.refused.exists()  # it would have been seen
