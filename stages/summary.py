"""Print what the last run found, from results/."""

from pathlib import Path
from typing import Any

from reprotune import cli
from reprotune.artifacts import read_json, read_yaml

RESULTS = Path("results")
NAMES = {"best": "best", "most_accurate": "most accurate", "knee": "knee", "cheapest": "cheapest", "default": "default"}


def main() -> None:
    best = read_yaml(RESULTS / "single_objective/best_config.yaml")
    front = read_yaml(RESULTS / "multi_objective/best_configs.yaml")
    scores = read_json(RESULTS / "evaluation/metrics.json")
    studies = {name: read_json(RESULTS / name / "metrics.json") for name in ("single_objective", "multi_objective")}
    print()
    for name, metrics in studies.items():
        counts = f"{metrics['trials']} trials, {metrics['pruned']} pruned, {metrics['failed']} failed"
        print(f"{name}: {counts}, ended by {metrics['stopped_by']}")
    print(f"best config: {', '.join(f'{name} {_short(value)}' for name, value in best['params'].items())}")
    print()
    print(f"{'':<14}{'trial':>6}{'valid accuracy':>16}{'test accuracy':>22}{'FLOPs':>12}{'parameters':>12}")
    for name, title in NAMES.items():
        chosen: dict[str, Any] = {"best": best, **front}.get(name, {})
        score = scores[name]["test_accuracy"]
        print(
            f"{title:<14}{chosen.get('number', ''):>6}{_short(chosen.get('accuracy', '')):>16}"
            f"{score['mean']:>12.4f} ± {score['std']:.4f}{scores[name]['flops']:>12,}{scores[name]['parameters']:>12,}"
        )
    gained = scores["best"]["test_accuracy"]["mean"] - scores["default"]["test_accuracy"]["mean"]
    print(f"\nOver the untuned default, the search bought {100 * gained:+.2f} points of test accuracy", end=" ")
    print(f"(mean of {score['n']} seeds).")
    print(
        "All of it on one page: results/report.html. Every trial: `make ui` or `mlflow ui`, then http://127.0.0.1:5000"
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    cli.run(main)
