"""The winners on test data that no study saw. data + best configs → results/evaluation/, results/model/"""

from reprotune import cli, engine, params


def main() -> None:
    chosen = params.load()
    with engine.started(chosen.execution) as executor:
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune import datasets, evaluation, exported, spec

        spec.check(chosen)
        dataset = datasets.verified(chosen.data.dataset)
        executor.share(dataset, spec.resolve_device(chosen.training.device))
        configs = evaluation.winners(chosen)
        models = evaluation.trained(configs, dataset, chosen, executor, anew=cli.asked("-f", "--force"))
        scores = evaluation.test_scores(models)
        summary = evaluation.summarize(configs, scores, dataset)
        evaluation.write(scores, summary)
        exported.write(models["best"][0], configs["best"], dataset)
        evaluation.draw(summary, chosen.multi_objective.minimize)


if __name__ == "__main__":
    cli.run(main)
