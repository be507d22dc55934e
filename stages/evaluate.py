"""The winners on test data that no study saw. data + best configs → results/evaluation/, results/model/"""

from reprotune import cli, params
from reprotune.execution import engines


def main() -> None:
    chosen = params.load()
    with cli.hushed(), engines.started(chosen.execution) as executor:
        work = f"{chosen.evaluate.seeds} × each best config and the default, trained on train + valid"
        print(f"{work}, {engines.told(chosen.execution)}", flush=True)
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune.data import stored
        from reprotune.pipeline import evaluation
        from reprotune.search.study import declaration, preparation
        from reprotune.training import saved_model

        declaration.check_params(chosen)
        dataset = stored.open_verified(chosen.data.dataset)
        device = preparation.resolve_device(chosen.training.device)
        executor.share(dataset.shared_files, device)
        configs = evaluation.winners(chosen)
        preparation.prepare(chosen, dataset, executor, configs.values())
        models = evaluation.trained(configs, dataset, chosen, executor, anew=cli.asked("-f", "--force"))
        scores = evaluation.test_scores(models)
        summary = evaluation.summarize(configs, scores, dataset)
        evaluation.write(scores, summary)
        found = evaluation.predictions(models["best"][0], configs["best"], dataset, device, executor)
        evaluation.write_predictions(found, dataset.classes)
        saved_model.write(models["best"][0], configs["best"], dataset, chosen.data.images.fit)


if __name__ == "__main__":
    cli.run(main)
