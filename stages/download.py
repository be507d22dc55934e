"""Original files → data/<dataset>/: train, valid and test split, and their digests."""

from pathlib import Path

from reprotune import cli, params


def main() -> None:
    from reprotune import datasets

    chosen = params.load()
    folder = Path("data") / chosen.data.dataset
    datasets.download(chosen.data, chosen.seed, folder)
    stored = datasets.StoredDataset(folder)
    sizes = ", ".join(f"{len(stored.load(split).labels):,} {split}" for split in ("train", "valid", "test"))
    print(f"{folder}: {sizes}; digest {stored.digest[:12]}")


if __name__ == "__main__":
    cli.run(main)
