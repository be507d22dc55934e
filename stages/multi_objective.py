"""Study 2: the trade-off between cost and accuracy. data + best_config.yaml → results/multi_objective/"""

from pathlib import Path

from reprotune import cli, engine, params
from reprotune.artifacts import read_yaml


def main() -> None:
    chosen = params.load()
    with engine.started(chosen.execution) as executor:
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune import datasets, session, spec

        spec.check(chosen)
        dataset = datasets.verified(chosen.data.dataset)
        best = read_yaml(Path("results/single_objective/best_config.yaml"))["params"]
        declared = spec.multi_objective(chosen, dataset, best)
        if declared.first is None:
            print("the best config lies outside multi_objective.search_space: trial 0 is sampled like any other")
        executor.share(dataset, declared.device)
        session.conduct(declared, chosen, executor, anew=cli.asked("-f", "--force"))


if __name__ == "__main__":
    cli.run(main)
