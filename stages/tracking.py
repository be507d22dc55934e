"""Write what MLflow lacks of the dataset, the studies and the evaluation, from journals or else from results/."""

from pathlib import Path

from reprotune import cli, params
from reprotune.artifacts import read_yaml


def main() -> None:
    from reprotune import datasets, overview, report, session, spec

    chosen = params.load()
    dataset = datasets.verified(chosen.data.dataset)
    overview.track(dataset)
    print("download: MLflow has its dataset")
    best = read_yaml(Path("results/single_objective/best_config.yaml"))["params"]
    for declared in (spec.of(chosen, "single_objective", dataset), spec.multi_objective(chosen, dataset, best)):
        print(f"{declared.name}: MLflow has its {session.track_again(declared, chosen)} trials")
    report.track(chosen, dataset)
    print("evaluate: MLflow has its scores")


if __name__ == "__main__":
    cli.run(main)
