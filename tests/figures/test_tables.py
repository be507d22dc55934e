"""What the summary shows in a terminal of 80 columns."""

import pytest
from rich.console import Console

from reprotune.figures import tables
from reprotune.results.winners import WINNERS


@pytest.mark.parametrize("metric", ["accuracy", "balanced accuracy"])
def test_names_of_winners_are_whole_words(metric: str) -> None:
    """However the accuracy is called, however large the models, and if one trial is all of them."""
    score = {"test_accuracy": {"mean": 0.9, "std": 0.01, "n": 3}, "flops": 20_116_016, "parameters": 9_007_224}
    chosen = {name: {"number": 100, "accuracy_mean": 0.9} for name in ("best", *WINNERS)}
    console = Console(width=80)
    with console.capture() as shown:
        console.print(tables.winners(chosen, dict.fromkeys((*chosen, "default"), score), metric))
    words = shown.get().split()
    assert {word for name in (*WINNERS, "best", "default") for word in name.split("_")} <= {w.strip(",") for w in words}
    assert words.count("0.9000") == 5  # on valid and on test: nothing is cut
