"""All that was found, drawn and on one page; both in MLflow too. results/ → its figures, report.html; metrics.json"""

from concurrent.futures import Executor

from reprotune import cli, params
from reprotune.execution import local_pool


def main() -> None:
    chosen = params.load()
    with cli.hushed():
        print("figures, advice and results/report.html, from the files in results/", flush=True)
        # Figures and MLflow take most of this stage: a process beside this one draws.
        with local_pool.started(chosen.execution, 1, preloaded=["reprotune.pipeline.report"]) as beside:
            _report(chosen, beside)


def _report(chosen: params.Params, beside: Executor) -> None:
    from reprotune.data import stored
    from reprotune.pipeline import report
    from reprotune.results import read

    dataset = stored.open_verified(chosen.data.dataset)
    studies = read.read_studies(chosen, dataset)
    report.draw(studies, dataset, beside)
    report.write(chosen, dataset)
    report.write_metrics()
    report.track(chosen, studies, dataset)


if __name__ == "__main__":
    cli.run(main)
