"""Classify pictures with the best model: `python -m stages.predict PATH…`. results/model/ → the terminal"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune import cli
from reprotune.errors import UserError, named
from reprotune.training.predictions import likeliest

if TYPE_CHECKING:
    from reprotune.training.saved_model import Seen

SHOWN = 3  # classes a picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="+", type=Path, help="a picture (png, jpeg, tiff, …) of any size, or a folder")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const=_print_json, dest="show", help="a list of objects")
    form.add_argument("--csv", action="store_const", const=_print_csv, dest="show", help="a row for each picture")
    arguments = parser.parse_intermixed_args()
    if "" in sys.argv[1:]:  # as of a variable that is not set: it would be the current folder
        raise UserError("'': is no path")
    from reprotune.training import saved_model

    model, description = saved_model.read()
    passed: dict[str, list[Path]] = {}
    found = saved_model.look_at_all(model, description, arguments.path, passed)
    (arguments.show or _print_lines)(found)
    if passed:
        told = "; ".join(f"{named(paths)} ({why})" for why, paths in passed.items())
        print(f"passed over: {told}", file=sys.stderr)


def _print_lines(found: "Iterable[tuple[Path, Seen]]") -> None:
    for path, seen in found:
        likely = ", ".join(f"{name} {probability:.1%}" for name, probability in likeliest(seen.classes, SHOWN).items())
        print("; ".join([f"{named([path])}: {likely}", *seen.notes]))


def _print_json(found: "Iterable[tuple[Path, Seen]]") -> None:
    _for_a_program()
    listed: list[dict[str, Any]] = []
    for path, seen in found:
        _warn(path, seen)
        listed.append({"path": str(path), "classes": likeliest(seen.classes, SHOWN)})
    print(json.dumps(listed, ensure_ascii=False, indent=2))


def _print_csv(found: "Iterable[tuple[Path, Seen]]") -> None:
    _for_a_program()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("path", *(f"{column}_{n}" for n in range(1, SHOWN + 1) for column in ("class", "probability"))))
    for path, seen in found:
        _warn(path, seen)
        cells = [cell for pair in likeliest(seen.classes, SHOWN).items() for cell in pair]
        writer.writerow([path, *cells, *[None] * (2 * SHOWN - len(cells))])


def _for_a_program() -> None:
    """UTF-8, whatever a terminal would show; a byte of a path that is not is escaped, as JSON reads it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def _warn(path: Path, seen: "Seen") -> None:
    if seen.notes:
        print(f"{named([path])}: {'; '.join(seen.notes)}", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
