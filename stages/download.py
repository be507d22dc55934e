"""Original files → data/<dataset>/: train, valid and test split, what they are made of, and their digests."""

from pathlib import Path

from reprotune import cli, params


def main() -> None:
    from reprotune.data import datasets, stored

    chosen = params.load()
    folder = Path("data") / chosen.data.dataset
    datasets.download(chosen.data, chosen.seed, folder)
    dataset = stored.StoredDataset(folder)
    sizes = ", ".join(f"{size:,} {split}" for split, size in dataset.sizes.items())
    print(f"{folder}: {sizes}; digest {dataset.digest[:12]}")


if __name__ == "__main__":
    cli.run(main)
