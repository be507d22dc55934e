"""What the model that was found sees in pictures: `python -m stages.predict IMAGE…`. results/model/ → the terminal"""

import argparse
from pathlib import Path

from reprotune import cli

SHOWN = 3  # classes a picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="+", type=Path, help="png, jpeg, or what else Pillow reads; of any size")
    arguments = parser.parse_args()
    from reprotune.training import saved_model

    model, description = saved_model.read()
    for path in arguments.image:
        found = list(saved_model.classify(model, description, path).items())[:SHOWN]
        print(f"{path}: {', '.join(f'{name} {probability:.1%}' for name, probability in found)}")


if __name__ == "__main__":
    cli.run(main)
