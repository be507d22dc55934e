"""What was found: all figures, results/report.html, one page that needs no network, and both in MLflow.

They are made of the result files alone.
"""

import base64
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reprotune.advice.checks import advise
from reprotune.artifacts import atomic_write, digest, read_csv, read_json, read_yaml
from reprotune.data.stored import StoredDataset
from reprotune.figures import evaluation as evaluation_figure
from reprotune.figures import samples, study
from reprotune.figures.style import UNITS
from reprotune.params import Params
from reprotune.pipeline import evaluation
from reprotune.results.read import read_trials
from reprotune.results.scores import certainty, cheaper, titles, told
from reprotune.search.spec import StudySpec
from reprotune.tracking import description
from reprotune.tracking.parent_run import add_files, parent_run
from reprotune.training import saved_model

RESULTS = Path("results")
SAMPLES = RESULTS / "dataset/figures/samples.png"
SCORES = RESULTS / "evaluation/figures/test_scores.svg"
REPORT = RESULTS / "report.html"
ADVICE = RESULTS / "advice.txt"  # a line each, the most important first
STUDIES = {"single_objective": "The first study: accuracy", "multi_objective": "The second study: cost and accuracy"}
FIGURES = {
    "optimization_history": "Each trial's accuracy by trial number, and the best so far.",
    "learning_curves": "Accuracy after each epoch, one line per trial; pruned trials end early.",
    "pruning": "Epochs trained, and how many there would be without pruning.",
    "importances": "Which hyperparameters matter, as shares of the total importance.",
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def draw(studies: Sequence[StudySpec], dataset: StoredDataset) -> None:
    """results/*/figures/"""
    samples.write(SAMPLES, dataset)
    for spec in studies:
        trials = read_trials(spec.folder, spec)
        study.write(spec.folder / "figures", spec, trials)
        if spec.cost:
            summary = read_json(evaluation.FOLDER / "metrics.json")
            evaluation_figure.write(SCORES, study.front(spec, trials), summary)


def write(params: Params, dataset: StoredDataset) -> None:
    """results/report.html, and the advice in it as results/advice.txt"""
    advice = advise(params, dataset)
    front = read_yaml(RESULTS / "multi_objective/best_configs.yaml")
    scores, cost = read_json(RESULTS / "evaluation/metrics.json"), params.multi_objective.minimize
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = templates.get_template("report.html.j2").render(
        dataset=dataset,
        sizes=dataset.sizes,
        seed=params.seed,
        scores=scores,
        told=told,
        certainty=certainty,
        winners={"best": read_yaml(RESULTS / "single_objective/best_config.yaml"), **front},
        titles={"best": "best", **titles(front), "default": "default"},
        cheaper=cheaper(front, scores),
        cost={"flops": "FLOPs"}.get(cost, cost),
        cost_unit=UNITS[cost],
        front=_front(read_csv(RESULTS / "multi_objective/pareto_front.csv")),
        front_figure=_front_figure(read_csv(RESULTS / "multi_objective/trials.csv"), cost),
        test_scores=_inline(SCORES),
        advice=advice,
        studies=[_study(name, title) for name, title in STUDIES.items()],
    )
    for path, content in ((REPORT, page), (ADVICE, "".join(f"{line}\n" for line in advice))):
        with atomic_write(path) as temporary:
            temporary.write_text(content, encoding="utf-8")


def _study(name: str, title: str) -> Mapping[str, Any]:
    folder = RESULTS / name
    return {
        "title": title,
        "metrics": read_json(folder / "metrics.json"),
        "identity": read_json(folder / "study.json")["identity"],
        "figures": [
            {"source": _inline(folder / f"figures/{figure}.svg"), "text": text} for figure, text in FIGURES.items()
        ],
    }


def _inline(figure: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(figure.read_bytes()).decode()}"


def _front(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Without the hyperparameters that are the same in all rows."""
    same = {name for name in rows[0] if name.startswith("params.") and len({row[name] for row in rows}) == 1}
    return [_short({name: cell for name, cell in row.items() if name not in same}) for row in rows]


def _short(row: Mapping[str, str]) -> dict[str, str]:
    """The row as a person reads it: params under their own names, and floats of four digits."""
    return {name.removeprefix("params."): _rounded(cell) for name, cell in row.items()}


def _rounded(cell: str) -> str:
    """A number that is not whole, to four digits; anything else as it is."""
    with suppress(ValueError):
        return cell if cell.isdecimal() else f"{float(cell):.4g}"
    return cell


def _front_figure(trials: Sequence[Mapping[str, str]], cost: str) -> Markup:
    """The study's figure of the front, with each trial's config where the mouse is."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)  # the prefix that HTML knows
    figure = ET.parse(RESULTS / "multi_objective/figures/pareto_front.svg").getroot()  # noqa: S314
    for state in ("COMPLETE", "PRUNED", "FAIL"):
        shown = [trial for trial in trials if trial["state"] == state and trial["accuracy"]]
        for point, trial in zip(_points(figure, state), shown, strict=True):
            ET.SubElement(point, f"{{{_SVG}}}title").text = _told(trial, cost)
    figure.set("role", "img")
    figure.set("aria-label", "Pareto front among all trials of the second study; the table below holds its points.")
    return Markup(ET.tostring(figure, encoding="unicode"))  # noqa: S704


def _points(figure: ET.Element, state: str) -> Iterator[ET.Element]:
    for group in figure.iter(f"{{{_SVG}}}g"):
        if group.get("id") == f"trials-{state}":
            yield from group.iter(f"{{{_SVG}}}use")


def _told(trial: Mapping[str, str], cost: str) -> str:
    params = (f"{name} {cell}" for name, cell in _short(trial).items() if f"params.{name}" in trial and cell)
    head = f"trial {trial['number']}: {trial['state'].lower()}, accuracy {float(trial['accuracy']):.4f}"
    return f"{head}, {int(trial[cost]):,} {cost}\n{', '.join(params)}"


def track(params: Params, studies: Sequence[StudySpec], dataset: StoredDataset) -> None:
    """The winners' scores → MLflow: a parent run, and a nested run a winner. The figures and the page → all parents."""
    configs, summary = evaluation.winners(params), read_json(evaluation.FOLDER / "metrics.json")
    identity = digest([{name: dict(config) for name, config in configs.items()}, dataset.digest, summary])
    scores = {name: summary[name] for name in configs}
    title = f"{dataset.name}, {len(configs)} configs, {params.evaluate.seeds} seeds"
    determining = {"seed": params.seed, "dataset": dataset.digest}
    with parent_run("evaluate", identity, determining, title, dataset) as parent:
        for number, (name, config) in enumerate(configs.items()):
            metrics = _metrics(scores[name])
            parent.log_config(number, f"{metrics['test_accuracy_mean']:.4f} {name}", config, metrics)
            parent.log_metrics({f"{metric}.{name}": value for metric, value in metrics.items()})
        parent.describe(description.of_evaluation(scores, parent.link))
        parent.log_files((path, None) for path in sorted(evaluation.FOLDER.glob("[!.]*.*")))
        parent.log_files([(SCORES, "figures"), (REPORT, None)])
        parent.log_files((path, "model") for path in sorted(saved_model.FOLDER.glob("[!.]*.*")))
    for spec in studies:
        drawn = [(path, "figures") for path in sorted((spec.folder / "figures").glob("*.svg"))]
        files = [*drawn, (SAMPLES, "dataset"), (REPORT, None)]
        add_files(spec.name, read_json(spec.folder / "study.json")["identity"], files)


def _metrics(score: Mapping[str, Any]) -> dict[str, float]:
    """A winner's, as the evaluation's metrics.json has it."""
    accuracy = {f"test_accuracy_{key}": value for key, value in score["test_accuracy"].items() if key != "n"}
    return {**accuracy, "flops": score["flops"], "parameters": score["parameters"]}
