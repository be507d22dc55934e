"""Write what MLflow lacks of the studies and the evaluation, from journals or else from results/."""

from reprotune import cli, params


def main() -> None:
    from reprotune.data import stored
    from reprotune.errors import counted
    from reprotune.pipeline import report
    from reprotune.pipeline.run_study import backfill
    from reprotune.results import digest, read

    chosen = params.load()
    dataset = stored.open_verified(chosen.data.dataset)
    studies = read.begun_studies(chosen, dataset)
    for declared in studies:
        if declared.journal.exists() or (declared.folder / "study.json").exists():
            print(f"{declared.name}: MLflow has its {counted(backfill(declared), 'trial')}")
        else:
            print(f"{declared.name}: has not begun")
    if changed := digest.changed() or digest.changed_param():
        print(f"evaluate: is left out: {changed} is {digest.CHANGED}")
    else:
        report.track(chosen, studies, dataset)
        print("evaluate: MLflow has its scores, and all have the figures and the report")


if __name__ == "__main__":
    cli.run(main)
