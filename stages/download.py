"""Original files → data/<dataset>/: train, valid and test split, what they are made of, and their digests.

`--check` only looks whether DVC, which reads the folder of one's own images before this stage does, can.
"""

import sys
from pathlib import Path

from reprotune import cli, params


def main() -> None:
    chosen = params.load()
    if "--check" in sys.argv[1:]:
        from reprotune.data import image_folder

        image_folder.check_names(chosen.data.images)
        return
    with cli.hushed():
        folder = Path("data") / chosen.data.dataset
        print(f"{folder}: is made from the original files", flush=True)
        from reprotune.data import datasets, stored

        datasets.download(chosen.data, chosen.seed, folder)
        dataset = stored.StoredDataset(folder)
        sizes = ", ".join(f"{size:,} {split}" for split, size in dataset.sizes.items())
        print(f"{folder}: {sizes}; digest {dataset.digest[:12]}")


if __name__ == "__main__":
    cli.run(main)
