"""What was found: all figures, results/report.html, one page that needs no network, and both in MLflow.

They are made of the result files alone.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from reprotune.advice.checks import advise
from reprotune.artifacts import atomic_write, digest, read_csv, read_json, write_json
from reprotune.data.metric import told, unless_default
from reprotune.data.stored import StoredDataset
from reprotune.errors import counted
from reprotune.figures import evaluation as evaluation_figure
from reprotune.figures import model, samples, study
from reprotune.params import Params
from reprotune.pipeline import evaluation, page
from reprotune.pipeline.page import RESULTS
from reprotune.results import classification
from reprotune.results.read import read_trials
from reprotune.search.study.spec import StudySpec
from reprotune.tracking import description, store
from reprotune.tracking.parent_run import add_files, parent_run
from reprotune.training import saved_model

SAMPLES = RESULTS / "dataset/figures/samples.png"
FIGURES = evaluation.FOLDER / "figures"
SCORES = FIGURES / "test_scores.svg"
REPORT = RESULTS / "report.html"
ADVICE = RESULTS / "advice.txt"  # a line each, the most important first
METRICS = Path("metrics.json")


def draw(studies: Sequence[StudySpec], dataset: StoredDataset, beside: Executor) -> None:
    """results/*/figures/. beside: draws the studies' meanwhile."""
    drawn = [beside.submit(_draw_study, spec) for spec in studies]
    store.load()
    samples.write(SAMPLES, dataset)
    rows = read_csv(evaluation.FOLDER / "test_scores.csv")
    best, default = (
        [float(row["test_accuracy"]) for row in rows if row["config"] == name] for name in ("best", "default")
    )
    evaluation_figure.write_gain(FIGURES / "gain.svg", best, default, studies[0].metric)
    predictions = classification.read(evaluation.FOLDER / "predictions.csv", dataset.classes)
    model.write(FIGURES, predictions, dataset.classes)
    wrong = classification.mistakes(predictions)[: page.MISTAKES]
    samples.write_mistakes(FIGURES / "mistakes.png", dataset, [found.image for found in wrong])
    for figures in drawn:
        figures.result()


def _draw_study(spec: StudySpec) -> None:
    trials = read_trials(spec.folder, spec)
    study.write(spec.folder / "figures", spec, trials)
    if spec.cost:
        summary = read_json(evaluation.FOLDER / "metrics.json")
        evaluation_figure.write(SCORES, study.front(spec, trials), summary)


def write(params: Params, dataset: StoredDataset) -> None:
    """results/report.html, and the advice in it as results/advice.txt"""
    advice = advise(params, dataset)
    content = {REPORT: page.render(params, dataset, advice), ADVICE: "".join(f"{line}\n" for line in advice)}
    for path, text in content.items():
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def write_metrics() -> None:
    """metrics.json: of the others what runs are compared by, since DVC makes a column of every metric."""
    single, multi = (read_json(RESULTS / name / "metrics.json") for name in ("single_objective", "multi_objective"))
    scores = read_json(evaluation.FOLDER / "metrics.json")
    compared = ("best", "default", "most_accurate", "within_1_point")
    test = {name: scores[name]["test_accuracy"]["mean"] for name in compared}
    if "std" in (best := scores["best"]["test_accuracy"]):  # of one seed there is none
        test["best_std"] = best["std"]
    metrics = {
        "single": {"accuracy": single["best_accuracy"], "epochs": single["epochs"]},
        "multi": {"hypervolume": multi["hypervolume"], "epochs": multi["epochs"]},
        "test": test,
    }
    write_json(METRICS, metrics)


def track(params: Params, studies: Sequence[StudySpec], dataset: StoredDataset) -> None:
    """The winners' scores → MLflow: a parent run, and a nested run a winner. The figures and the page → all parents."""
    configs, summary = evaluation.winners(params), read_json(evaluation.FOLDER / "metrics.json")
    metric = params.data.metric
    evaluated = {name: dict(config) for name, config in configs.items()}
    identity = digest([evaluated, dataset.digest, summary, *unless_default(metric).values()])
    scores = {name: summary[name] for name in configs}
    reached = summary["best"]["test_accuracy"]["mean"]
    title = f"{dataset.name}, {len(configs)} configs, {counted(params.evaluate.seeds, 'seed')}, best {reached:.4f}"
    determining = {"seed": params.seed, "dataset": dataset.digest, **unless_default(metric)}
    with parent_run("evaluate", identity, determining, title, dataset) as parent:
        metrics = {name: _metrics(score) for name, score in scores.items()}
        for number, (name, config) in enumerate(configs.items()):
            parent.log_config(number, f"{metrics[name]['test_accuracy_mean']:.4f} {name}", config, metrics[name])
        parent.log_metrics({f"{key}.{name}": value for name, of in metrics.items() for key, value in of.items()})
        model_id = parent.log_model(sorted(saved_model.FOLDER.glob("[!.]*.*")), configs["best"])
        parent.describe(description.of_evaluation(scores, parent.link, told(metric), model_id))
        parent.log_files((path, None) for path in sorted(evaluation.FOLDER.glob("[!.]*.*")))
        drawn = [(path, "figures") for path in sorted(FIGURES.glob("[!.]*.*"))]
        parent.log_files([*drawn, (REPORT, None)])
    for spec in studies:
        drawn = [(path, "figures") for path in sorted((spec.folder / "figures").glob("*.svg"))]
        files = [*drawn, (SAMPLES, "dataset"), (REPORT, None)]
        add_files(spec.name, read_json(spec.folder / "study.json")["identity"], files)


def _metrics(score: Mapping[str, Any]) -> dict[str, float]:
    """A winner's, as the evaluation's metrics.json has it."""
    accuracy = {f"test_accuracy_{key}": value for key, value in score["test_accuracy"].items() if key != "n"}
    return {**accuracy, "flops": score["flops"], "parameters": score["parameters"]}
