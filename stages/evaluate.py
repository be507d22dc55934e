"""The winners on test data that no study saw. data + best configs → results/evaluation/"""

from pathlib import Path

from reprotune import cli, engine, params

OUT = Path("results/evaluation")


def main() -> None:
    chosen = params.load()
    with engine.started(chosen.execution) as executor:
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune import artifacts, datasets, evaluation, search_space, study, tracking

        study.check(chosen)
        dataset = datasets.StoredDataset(Path("data") / chosen.data.dataset)
        configs = evaluation.winners(
            Path("results/single_objective"), Path("results/multi_objective"), search_space.default_config(chosen)
        )
        scores = evaluation.test_scores(configs, dataset, chosen.seed, chosen.evaluate.seeds, executor)
        summary = evaluation.summarize(configs, scores, dataset)
        evaluation.write(OUT, scores, summary)
        identity = artifacts.digest([{name: dict(config) for name, config in configs.items()}, dataset.digest, scores])
        with tracking.parent_run("evaluate", identity, {"seed": chosen.seed, "dataset": dataset.digest}) as parent:
            for number, (name, config) in enumerate(configs.items()):
                score = summary[name]["test_accuracy"]
                metrics = {"test_accuracy_mean": score["mean"], "test_accuracy_std": score["std"]}
                costs = {"flops": summary[name]["flops"], "parameters": summary[name]["parameters"]}
                parent.log_config(number, name, config, {**metrics, **costs})
            parent.log_files(OUT)


if __name__ == "__main__":
    cli.run(main)
