"""All that was found, drawn and on one page; both in MLflow too. results/ → results/*/figures/, results/report.html"""

from reprotune import cli, params


def main() -> None:
    chosen = params.load()
    with cli.hushed():
        print("figures, advice and results/report.html, from the files in results/", flush=True)
        _report(chosen)


def _report(chosen: params.Params) -> None:
    from reprotune.data import stored
    from reprotune.pipeline import report
    from reprotune.results import read

    dataset = stored.open_verified(chosen.data.dataset)
    studies = read.read_studies(chosen, dataset)
    report.draw(studies, dataset)
    report.write(chosen, dataset)
    report.track(chosen, studies, dataset)


if __name__ == "__main__":
    cli.run(main)
