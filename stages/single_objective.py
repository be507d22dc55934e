"""Study 1: the hyperparameters that maximise validation accuracy. data → results/single_objective/"""

from reprotune import cli, engine, params


def main() -> None:
    chosen = params.load()
    with engine.started(chosen.execution) as executor:
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune import datasets, session, spec

        spec.check(chosen)
        dataset = datasets.verified(chosen.data.dataset)
        declared = spec.of(chosen, "single_objective", dataset)
        executor.share(dataset, declared.device)
        session.conduct(declared, chosen, executor, anew=cli.asked("-f", "--force"))


if __name__ == "__main__":
    cli.run(main)
