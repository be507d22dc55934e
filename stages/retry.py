"""Forget what failed because of the machine; print which studies are to be run again. `make retry` does both."""

import sys

from reprotune import cli, params


def main() -> None:
    from reprotune.data import stored
    from reprotune.pipeline.retry import forget_failures, was_stopped
    from reprotune.results import read

    chosen = params.load()
    for declared in read.begun_studies(chosen, stored.open_verified(chosen.data.dataset)):
        if failed := forget_failures(declared):
            which = f"trial {failed[0]} is" if len(failed) == 1 else f"trials {', '.join(map(str, failed))} are"
            told = f"{which} trained again"
        else:
            told = "goes on" if was_stopped(declared) else ""
        if told:
            print(declared.name)
        print(f"{declared.name}: {told or 'nothing to train again'}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
