"""results/report.html: what of the result files the page shows, and how it says it."""

import base64
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from reprotune.advice.run import Advice
from reprotune.artifacts import read_csv, read_json, read_yaml
from reprotune.data.metric import told as told_metric
from reprotune.data.stored import StoredDataset
from reprotune.figures import model as model_figures
from reprotune.figures import samples
from reprotune.figures.front_on_page import interactive
from reprotune.figures.leaderboard import leaderboard, searched
from reprotune.figures.style import UNITS
from reprotune.params import Categorical, Declared, FloatRange, IntRange, Params
from reprotune.results import classification
from reprotune.results.importances import declared
from reprotune.results.read import read_studies, read_trials
from reprotune.results.scores import certainty, cheaper, short, titles, told
from reprotune.results.winners import complete
from reprotune.search.space import default_config
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial

RESULTS = Path("results")
STUDIES = ("The first study: accuracy", "The second study: cost and accuracy")
FIGURES = {
    "optimization_history": "Each trial's accuracy by trial number, and the best so far.",
    "learning_curves": "Accuracy after each epoch, one line per trial; pruned trials end early.",
    "pruning": "Epochs trained, and how many there would be without pruning.",
    "parallel_coordinates": "The complete trials as lines over their hyperparameters, the most accurate on top.",
}
HYPERVOLUME = (
    "The hypervolume after each trial: the share of the box between the costliest model at the least accuracy and a "
    "perfect one without cost that some trial beats in both. It only grows; where it is flat, the search found nothing."
)
MISTAKES = 16  # that the page has room for
_UNEVEN = 1.5  # times the images of the smallest class: from there on accuracy hardly counts the small ones


def render(params: Params, dataset: StoredDataset, advice: Sequence[Advice]) -> str:
    front = read_yaml(RESULTS / "multi_objective/best_configs.yaml")
    scores, cost = read_json(RESULTS / "evaluation/metrics.json"), params.multi_objective.minimize
    studies = [(spec, read_trials(spec.folder, spec)) for spec in read_studies(params, dataset)]
    return _template().render(
        dataset=dataset,
        metric=told_metric(params.data.metric),
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
        front_figure=_front_figure(*studies[1]),
        test_scores=_inline(RESULTS / "evaluation/figures/test_scores.svg"),
        gain=_inline(RESULTS / "evaluation/figures/gain.svg"),
        samples=_inline(RESULTS / "dataset/figures/samples.png"),
        sampled=dataset.classes[: samples.ROWS],
        model=_model(dataset),
        drawn=model_figures.drawn(len(dataset.classes)),
        best_config=best_config(params, studies[0][0]),
        advice=advice,
        studies=[_study(title, *study) for title, study in zip(STUDIES, studies, strict=True)],
    )


def _template() -> Template:
    folder = FileSystemLoader(Path(__file__).parent)
    made = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return made.get_template("report.html.j2")


def _inline(figure: Path) -> str:
    return _data(figure.read_bytes(), {".svg": "svg+xml", ".png": "png"}[figure.suffix])


def _data(picture: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _model(dataset: StoredDataset) -> Mapping[str, Any]:
    """What the first of the best config's models, that of results/model/, does on test."""
    predictions = classification.read(RESULTS / "evaluation/predictions.csv", dataset.classes)
    wrong = classification.mistakes(predictions)[:MISTAKES]
    images = [sum(row) for row in classification.confusion_matrix(predictions, len(dataset.classes))]
    figures = RESULTS / "evaluation/figures"
    return {
        "metrics": read_json(RESULTS / "evaluation/model_metrics.json"),
        "uneven": max(images) >= _UNEVEN * min(images),
        "class_accuracy": _inline(figures / "class_accuracy.svg"),
        "confusion_matrix": _inline(figures / "confusion_matrix.svg"),
        "calibration": _inline(figures / "calibration.svg"),
        "learning_curve": _inline(RESULTS / "single_objective/figures/best_learning_curve.svg"),
        "mistakes": [
            {
                "source": _data(samples.png([samples.test_images(dataset, [found.image])]), "png"),
                "label": dataset.classes[found.label],
                "predicted": dataset.classes[found.predicted],
                "confidence": found.confidence,
            }
            for found in wrong
        ],
    }


def best_config(params: Params, spec: StudySpec) -> Mapping[str, Any]:
    """What was searched of it or is not the default's, as rows of name, value, the default's, range; all as YAML."""
    text = (spec.folder / "best_config.yaml").read_text(encoding="utf-8")
    best, default = read_yaml(spec.folder / "best_config.yaml")["params"], default_config(params)
    rows = [
        (name, short(value), short(default.get(name, "")), _range(known) if _searched(known) else "fixed")
        for name, value in best.items()
        if _searched(known := declared(spec.space, name)) or value != default.get(name)
    ]
    return {"rows": rows, "yaml": textwrap.dedent(text.partition("params:\n")[2])}


def _searched(known: Declared) -> bool:
    return isinstance(known, IntRange | FloatRange | Categorical)


def _range(known: Declared) -> str:
    if isinstance(known, IntRange | FloatRange):
        steps = f", steps of {known.step:g}" if known.step not in (None, 1) else ""
        return f"{known.low:g} to {known.high:g}{steps}{', log' if known.log else ''}"
    return ", ".join(map(str, known.choices)) if isinstance(known, Categorical) else str(known)


def _study(title: str, spec: StudySpec, trials: Sequence[Trial]) -> Mapping[str, Any]:
    texts = {
        **FIGURES,
        "importances": _importances(spec, trials),
        **({"hypervolume": HYPERVOLUME} if spec.cost else {}),
    }
    return {
        "title": title,
        "name": spec.name,
        "metrics": read_json(spec.folder / "metrics.json"),
        "identity": read_json(spec.folder / "study.json")["identity"],
        "space": [(name, _range(known)) for name, known in spec.space.items() if _searched(known)],
        "figures": [
            {"source": _inline(spec.folder / f"figures/{figure}.svg"), "text": text} for figure, text in texts.items()
        ],
        "leaderboard": leaderboard(spec, trials),
    }


def _importances(spec: StudySpec, trials: Sequence[Trial]) -> str:
    finished = len(complete(trials))
    tenth = max(1, finished // 10)
    cost = " A cost depends on those alone whose change alone changes it." if spec.cost else ""
    return (
        "Which hyperparameters matter, as shares of the total importance (PED-ANOVA): those of which the best tenth of "
        f"the trials have other values than the rest.{cost} Of accuracy that is an estimate by {tenth} of {finished} "
        "complete trials: trust large shares, not small differences."
    )


def _front(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Without the hyperparameters that are the same in all rows, and without macs, which are half the FLOPs."""
    same = {name for name in rows[0] if name.startswith("params.") and len({row[name] for row in rows}) == 1}
    return [_short({name: cell for name, cell in row.items() if name not in {"macs", *same}}) for row in rows]


def _short(row: Mapping[str, str]) -> dict[str, str]:
    """The row as a person reads it: params under their own names, accuracies and other floats to four digits."""
    forms = {"accuracy": ".4f", "flops": ",.0f", "parameters": ",.0f"}
    shown = {name: _rounded(cell, forms.get(name.partition("_")[0], ".4g")) for name, cell in row.items()}
    return {name.removeprefix("params."): cell for name, cell in shown.items()}


def _rounded(cell: str, form: str) -> str:
    """A number in that form, a whole one as it is unless that form has commas; anything else as it is."""
    with suppress(ValueError):
        return cell if cell.isdecimal() and "," not in form else format(float(cell), form)
    return cell


def _front_figure(spec: StudySpec, trials: Sequence[Trial]) -> Markup:
    path = spec.folder / "figures/pareto_front.svg"
    return Markup(interactive(path, trials, str(spec.cost), searched(spec, trials)))  # noqa: S704
