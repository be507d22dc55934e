"""Original files → data/<dataset>/: train, valid and test split, what they are made of, and their digests."""

from pathlib import Path

from reprotune import cli, params


def main() -> None:
    from reprotune import datasets, overview

    chosen = params.load()
    folder = Path("data") / chosen.data.dataset
    datasets.download(chosen.data, chosen.seed, folder)
    stored = datasets.StoredDataset(folder)
    overview.write(stored)
    sizes = ", ".join(f"{size:,} {split}" for split, size in overview.sizes(stored).items())
    print(f"{folder}: {sizes}; digest {stored.digest[:12]}")
    overview.track(stored)


if __name__ == "__main__":
    cli.run(main)
