"""Study 2: the trade-off between cost and accuracy. data + best_config.yaml → results/multi_objective/"""

from pathlib import Path

from reprotune import cli, engine, params
from reprotune.artifacts import read_yaml


def main() -> None:
    chosen = params.load()
    with engine.started(chosen.execution) as executor:
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune import datasets, search_space, session, study

        study.check(chosen)
        dataset = datasets.StoredDataset(Path("data") / chosen.data.dataset)
        best = read_yaml(Path("results/single_objective/best_config.yaml"))["params"]
        spec = study.spec(chosen, "multi_objective", dataset, first=best)
        if not search_space.contains(spec.space, best):
            print("the best config lies outside multi_objective.search_space: trial 0 is sampled like any other")
            spec = study.spec(chosen, "multi_objective", dataset)
        session.conduct(spec, chosen, executor, Path("results/multi_objective"), anew=cli.forced())


if __name__ == "__main__":
    cli.run(main)
