"""Study 1: the hyperparameters that maximise validation accuracy. data → results/single_objective/"""

from pathlib import Path

from reprotune import cli, engine, params


def main() -> None:
    chosen = params.load()
    with engine.started(chosen.execution) as executor:
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune import datasets, session, study

        study.check(chosen)
        dataset = datasets.StoredDataset(Path("data") / chosen.data.dataset)
        spec = study.spec(chosen, "single_objective", dataset)
        session.conduct(spec, chosen, executor, Path("results/single_objective"), anew=cli.forced())


if __name__ == "__main__":
    cli.run(main)
