"""Print what the last run found, from results/."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from reprotune import cli
from reprotune.artifacts import read_json, read_yaml
from reprotune.data.metric import told
from reprotune.errors import UserError
from reprotune.figures import tables
from reprotune.results import digest
from reprotune.results.scores import certainty, cheaper, short

RESULTS = Path("results")
_MOST = 2  # pieces of advice that a summary has room for


def main() -> None:
    if changed := digest.changed():
        raise UserError(f"{changed}: is {digest.CHANGED}")
    best = read_yaml(RESULTS / "single_objective/best_config.yaml")
    front = read_yaml(RESULTS / "multi_objective/best_configs.yaml")
    scores = read_json(RESULTS / "evaluation/metrics.json")
    studies = {name: read_json(RESULTS / name / "metrics.json") for name in ("single_objective", "multi_objective")}
    metric = told(read_json(RESULTS / "single_objective/study.json").get("metric", "accuracy"))
    console = Console(highlight=False, markup=False, emoji=False)
    console.print()
    for name, metrics in studies.items():
        large = f" ({metrics['too_large']} too large)" if metrics["too_large"] else ""
        counts = f"{metrics['trials']} trials, {metrics['pruned']} pruned{large}, {metrics['failed']} failed"
        console.print(f"{name}: {counts}, ended by {metrics['stopped_by']}")
        if found := certainty(metrics):
            console.print(f"its most accurate: {found}")
    console.print(f"best config: {', '.join(f'{name} {short(value)}' for name, value in best['params'].items())}")
    console.print(tables.winners({"best": best, **front}, scores, metric))
    console.print("On test: trained again on train + valid, which is more to learn from than train alone.")
    if not studies["multi_objective"]["feasible"]:
        floor = studies["multi_objective"]["hypervolume_reference"]["accuracy"]
        console.print(f"No trial of multi_objective reached min_accuracy, {floor}: the most accurate stand in.")
    if rows := cheaper(front, scores):
        console.print(tables.cheaper(rows))
    score, default = (scores[name]["test_accuracy"] for name in ("best", "default"))
    over = f"mean of {score['n']} seeds" if score["n"] > 1 else "1 seed"
    gained = 100 * (score["mean"] - default["mean"])
    console.print(
        f"The best config against the untuned default: {gained:+.2f} points of test {metric} ({over}). "
        "Report: results/report.html. Every trial: `make ui`, which prints a link to each study, or `mlflow ui`"
    )
    for line in _advice():
        console.print(f"- {line}")


def _advice() -> Iterator[str]:
    """The most important of it."""
    found = (RESULTS / "advice.txt").read_text(encoding="utf-8").splitlines()
    yield from found[:_MOST]
    if len(found) > _MOST:
        yield f"{len(found) - _MOST} more: python -m stages.advise"


if __name__ == "__main__":
    cli.run(main)
