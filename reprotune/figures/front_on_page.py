"""The figure of the front for a page: each trial's config where the mouse is."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path

from reprotune.results.scores import short
from reprotune.search.study.trials import Trial

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
LABEL = "Pareto front among all trials of the second study; the table below holds its points."


def interactive(path: Path, trials: Sequence[Trial], cost: str, names: Sequence[str]) -> str:
    """The study's figure as an element of HTML. names: of the hyperparameters that are told."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)  # the prefix that HTML knows
    figure = ET.parse(path).getroot()  # noqa: S314
    for state in ("COMPLETE", "PRUNED", "FAIL"):
        shown = [trial for trial in trials if trial.result.state == state and trial.result.accuracy is not None]
        for point, trial in zip(_points(figure, state), shown, strict=True):
            ET.SubElement(point, f"{{{_SVG}}}title").text = _told(trial, cost, names)
    figure.set("role", "img")
    figure.set("aria-label", LABEL)
    return ET.tostring(figure, encoding="unicode")


def _points(figure: ET.Element, state: str) -> Iterator[ET.Element]:
    for group in figure.iter(f"{{{_SVG}}}g"):
        if group.get("id") == f"trials-{state}":
            yield from group.iter(f"{{{_SVG}}}use")


def _told(trial: Trial, cost: str, names: Sequence[str]) -> str:
    params = (f"{name} {short(trial.config[name])}" for name in names if name in trial.config)
    head = f"trial {trial.number}: {trial.result.state.lower()}, accuracy {trial.result.accuracy:.4f}"
    return f"{head}, {trial.result.value(cost):,} {cost}\n{', '.join(params)}"
