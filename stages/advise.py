"""Print what the last run's results say about the run itself: what was seen, why it matters, which key to change."""

from pathlib import Path

from reprotune import cli
from reprotune.errors import UserError
from reprotune.results import digest


def main() -> None:
    if changed := digest.changed():
        raise UserError(f"{changed}: is {digest.CHANGED}")
    found = Path("results/advice.txt").read_text(encoding="utf-8")
    print(found.rstrip() or "no check found anything")


if __name__ == "__main__":
    cli.run(main)
