"""Print what the last run found, from results/."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from reprotune import cli
from reprotune.artifacts import read_json, read_yaml
from reprotune.results.scores import certainty, on_valid, titles, told

RESULTS = Path("results")
_MOST = 2  # pieces of advice that a summary has room for
COLUMNS = ("trial", "accuracy\non valid", "accuracy\non test", "FLOPs", "parameters")
CHEAPER = ("points lost\non valid", "points lost\non test", "cost saved")


def main() -> None:
    best = read_yaml(RESULTS / "single_objective/best_config.yaml")
    front = read_yaml(RESULTS / "multi_objective/best_configs.yaml")
    scores = read_json(RESULTS / "evaluation/metrics.json")
    studies = {name: read_json(RESULTS / name / "metrics.json") for name in ("single_objective", "multi_objective")}
    console = Console(highlight=False, markup=False, emoji=False)
    console.print()
    for name, metrics in studies.items():
        large = f" ({metrics['too_large']} too large to be trained)" if metrics["too_large"] else ""
        counts = f"{metrics['trials']} trials, {metrics['pruned']} pruned{large}, {metrics['failed']} failed"
        console.print(f"{name}: {counts}, ended by {metrics['stopped_by']}")
        if found := certainty(metrics):
            console.print(f"its most accurate: {found}")
    console.print(f"best config: {', '.join(f'{name} {_short(value)}' for name, value in best['params'].items())}")
    console.print(_table({"best": best, **front}, scores))
    if not studies["multi_objective"]["feasible"]:
        floor = studies["multi_objective"]["hypervolume_reference"]["accuracy"]
        console.print(f"No trial of multi_objective reached min_accuracy, {floor}: the most accurate stand in.")
    if len(titles(front)) > 1:
        console.print(_cheaper(front, scores))
    score, default = (scores[name]["test_accuracy"] for name in ("best", "default"))
    over = f"mean of {score['n']} seeds" if score["n"] > 1 else "1 seed"
    gained = 100 * (score["mean"] - default["mean"])
    console.print(
        f"Over the untuned default, the search bought {gained:+.2f} points of test accuracy ({over}). "
        "All of it on one page: results/report.html. Every trial: `make ui` or `mlflow ui`, then http://127.0.0.1:5000"
    )
    for line in _advice():
        console.print(f"- {line}")


def _advice() -> Iterator[str]:
    """The most important of it."""
    found = (RESULTS / "advice.txt").read_text(encoding="utf-8").splitlines()
    yield from found[:_MOST]
    if len(found) > _MOST:
        yield f"{len(found) - _MOST} more: python -m stages.advise"


def _table(chosen: Mapping[str, Mapping[str, Any]], scores: Mapping[str, Mapping[str, Any]]) -> Table:
    table = _of_columns(COLUMNS)
    front = titles({name: trial for name, trial in chosen.items() if name != "best"})
    for name, title in {"best": "best", **front, "default": "default"}.items():
        trial, score = chosen.get(name, {}), scores[name]
        test = told(score["test_accuracy"])
        number, valid = (str(trial["number"]), on_valid(trial)) if trial else ("", "")
        table.add_row(title, number, valid, test, f"{score['flops']:,}", f"{score['parameters']:,}")
    return table


def _cheaper(front: Mapping[str, Mapping[str, Any]], scores: Mapping[str, Mapping[str, Any]]) -> Table:
    """What each winner loses and saves over the most accurate one."""
    table = _of_columns(CHEAPER)
    most, *cheaper = titles(front).items()
    for name, title in cheaper:
        on_test = (scores[of]["test_accuracy"]["mean"] for of in (most[0], name))
        lost = (front[name]["accuracy_lost"], next(on_test) - next(on_test))
        table.add_row(title, *(f"{100 * share:.2f}" for share in lost), f"{front[name]['cost_saved']:.1%}")
    return table


def _of_columns(columns: Sequence[str]) -> Table:
    table = Table("", *columns, box=SIMPLE)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    return table


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    cli.run(main)
