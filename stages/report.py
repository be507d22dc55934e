"""All that was found, on one page, and the winners' scores in MLflow. results/ → results/report.html"""

from reprotune import cli, params


def main() -> None:
    from reprotune import datasets, report

    chosen = params.load()
    dataset = datasets.verified(chosen.data.dataset)
    report.write(chosen, dataset)
    report.track(chosen, dataset)


if __name__ == "__main__":
    cli.run(main)
