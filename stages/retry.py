"""Forget what failed because of the machine; print which studies are to be run again. `make retry` does both."""

import sys

from reprotune import cli, params


def main() -> None:
    from reprotune.data import stored
    from reprotune.pipeline.retry import forget_failures
    from reprotune.results import read

    chosen = params.load()
    for declared in read.begun_studies(chosen, stored.open_verified(chosen.data.dataset)):
        failed = forget_failures(declared)
        if failed:
            print(declared.name)
        numbers = f"trials {', '.join(map(str, failed))} are trained again" if failed else "nothing to train again"
        print(f"{declared.name}: {numbers}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
