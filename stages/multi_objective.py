"""Study 2: the trade-off between cost and accuracy. data + best_config.yaml → results/multi_objective/"""

from reprotune import cli, params
from reprotune.execution import engines


def main() -> None:
    chosen = params.load()
    with cli.hushed(), engines.started(chosen.execution) as executor:
        # Before the imports, which take seconds.
        print(f"{chosen.multi_objective.told}, {engines.told(chosen.execution)}", flush=True)
        # Imported while the workers start. A worker imports this module too, but not these.
        from reprotune.pipeline.floor import default_accuracy
        from reprotune.pipeline.run_study import begin, run_study
        from reprotune.results import read
        from reprotune.search.study import declaration

        dataset = begin(chosen, executor)
        best = read.best_params()
        by_default = chosen.multi_objective.min_accuracy == "default"
        floor = default_accuracy(chosen, dataset, executor) if by_default else None
        declared = read.with_adopted(declaration.multi_objective(chosen, dataset, best, floor))
        if best not in declared.first:
            print("the best config lies outside multi_objective.search_space, or above its caps: it is not tried here")
        run_study(declared, executor, anew=cli.asked("-f", "--force"))


if __name__ == "__main__":
    cli.run(main)
