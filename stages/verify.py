"""Train recorded trials again and compare them bit for bit with results/ and MLflow. Exit code 1 on a difference."""

import argparse
import random
import sys

from reprotune import cli, params
from reprotune.artifacts import read_csv
from reprotune.execution import engines


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word}: must be a whole number, 1 or more")
    return int(word)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=_count, default=5, metavar="N", help="how many of each study (default: 5)")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: 0)")
    arguments = parser.parse_args()
    chosen = params.load()
    differing = 0
    with engines.started(chosen.execution) as executor:
        from reprotune.pipeline import verify
        from reprotune.pipeline.run_study import begin
        from reprotune.results import read
        from reprotune.tracking import trial_run

        for declared in read.read_studies(chosen, begin(chosen, executor)):
            rows = read_csv(declared.folder / "trials.csv")
            count = len(rows) if arguments.all else min(arguments.trials, len(rows))
            numbers = sorted(random.Random(arguments.seed).sample(range(len(rows)), count))  # noqa: S311
            tracked = trial_run.curves(declared, numbers)
            found = list(verify.differences(declared, numbers, tracked, executor))
            for number, line in found:
                if line:
                    print(f"{declared.name}: trial {number}: {line}")
            agreeing = sum(not line for _, line in found)
            print(
                f"{declared.name}: {agreeing} of {count} trials agree, {len(tracked)} of them compared with MLflow too"
            )
            if agreeing < count:
                differing += count - agreeing
                print(f"{declared.name}: this environment differs {verify.environment(declared)}")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    cli.run(main)
