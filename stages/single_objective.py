"""Study 1: the hyperparameters that maximise validation accuracy. data → results/single_objective/"""

from reprotune import cli, params
from reprotune.execution import engines


def main() -> None:
    chosen = params.load()
    with cli.hushed(), engines.started(chosen.execution) as executor:
        # Before the imports, which take seconds.
        print(f"{chosen.single_objective.told}, {engines.told(chosen.execution)}", flush=True)
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune.pipeline.run_study import begin, run_study
        from reprotune.results import read
        from reprotune.search.study import declaration

        dataset = begin(chosen, executor)
        declared = read.with_adopted(declaration.from_params(chosen, "single_objective", dataset))
        # To refuse now what would be refused after this study.
        declaration.from_params(chosen, "multi_objective", dataset)
        run_study(declared, executor, anew=cli.asked("-f", "--force"))


if __name__ == "__main__":
    cli.run(main)
