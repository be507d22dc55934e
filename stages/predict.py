"""Classify pictures with the best model: `python -m stages.predict IMAGE…`. results/model/ → the terminal"""

import argparse
from pathlib import Path

from reprotune import cli
from reprotune.errors import named

SHOWN = 3  # classes a picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="+", type=Path, help="png, jpeg, tiff, …; of any size")
    arguments = parser.parse_args()
    from reprotune.training import saved_model

    model, description = saved_model.read()
    for path in arguments.image:
        seen = saved_model.look(model, description, path)
        found = ", ".join(f"{name} {probability:.1%}" for name, probability in list(seen.classes.items())[:SHOWN])
        first = "; the first of several frames or pages" if seen.several else ""
        deep = "; black is {}, white is {}".format(*seen.range) if seen.range else ""
        print(f"{named([path])}: {found}{first}{deep}")


if __name__ == "__main__":
    cli.run(main)
