"""From Python 3.12 on, the builtin `sum` of floats is compensated: no result may depend on its last bits."""

import builtins
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from conftest import make_params, run

from reprotune.artifacts import file_digest
from reprotune.data.stored import StoredDataset
from reprotune.figures import study
from reprotune.results import write
from reprotune.search.study import declaration

_sum = builtins.sum


def compensated(items: Iterable[Any], /, start: Any = 0) -> Any:
    kept = list(items)
    return math.fsum([start, *kept]) if kept and all(type(item) is float for item in kept) else _sum(kept, start)


def naive(items: Iterable[Any], /, start: Any = 0) -> Any:
    for item in items:
        start = start + item
    return start


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_results_are_the_same_by_either_sum(
    name: str, dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = declaration.from_params(make_params(**{f"{name}__n_trials": 20}), name, dataset)
    trials = run(declared, tmp_path)
    assert naive([0.1] * 10) != compensated([0.1] * 10) == 1.0
    made: list[dict[str, str]] = []
    for of_python in (naive, compensated):
        folder = tmp_path / of_python.__name__
        monkeypatch.setattr(builtins, "sum", of_python)
        (write.write_multi_objective if declared.cost else write.write_single_objective)(folder, declared, trials)
        study.write(folder, declared, trials)
        made.append({path.name: file_digest(path) for path in folder.iterdir()})
    assert len(made[0]) > 8
    assert made[0] == made[1]
