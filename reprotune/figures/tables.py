"""The winners as tables, for a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from reprotune.results.scores import titles, told

CHEAPER = ("points lost\non valid", "points lost\non test", "cost saved")


def winners(
    chosen: Mapping[str, Mapping[str, Any]], scores: Mapping[str, Mapping[str, Any]], score: str = "accuracy"
) -> Table:
    """Each winner and the default, with its accuracies and costs; those that are one trial as one. score: by which."""
    narrow = score.replace(" ", "\n")
    table = _of_columns(("trial", f"{narrow}\non valid", f"{narrow}\non test", "FLOPs", "parameters"))
    front = titles({name: trial for name, trial in chosen.items() if name != "best"})
    for name, title in {"best": "best", **front, "default": "default"}.items():
        trial, winner = chosen.get(name, {}), scores[name]
        test = told(winner["test_accuracy"])
        number, valid = (str(trial["number"]), f"{trial['accuracy_mean']:.4f}") if trial else ("", "")
        table.add_row(title, number, valid, test, f"{winner['flops']:,}", f"{winner['parameters']:,}")
    return table


def cheaper(rows: Iterable[Sequence[str]]) -> Table:
    """What each winner loses and saves over the most accurate one: the rows of scores.cheaper."""
    table = _of_columns(CHEAPER)
    for row in rows:
        table.add_row(*row)
    return table


def _of_columns(columns: Sequence[str]) -> Table:
    table = Table("", *columns, box=SIMPLE)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    return table
