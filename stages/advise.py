"""What the results say about the run itself: what was seen, why it matters, which key of params.yaml to change."""

from pathlib import Path

from reprotune import cli, params


def main() -> None:
    from reprotune.advice.checks import advise
    from reprotune.data.stored import StoredDataset

    chosen = params.load()
    found = advise(chosen, StoredDataset(Path("data") / chosen.data.dataset))
    print("\n".join(map(str, found)) or "no check found anything")


if __name__ == "__main__":
    cli.run(main)
