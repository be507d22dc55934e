"""Print one digest of all of results/, and whether it is the one of this commit."""

from reprotune import cli


def main() -> None:
    from reprotune.results import digest

    found, committed = digest.of_files(), digest.of_commit()
    if committed is None:
        print(f"results {found[:12]}")
    elif found == committed:
        print(f"results {found[:12]}: the bytes of this commit")
    else:
        print(f"results {found[:12]}: not the bytes of this commit ({committed[:12]}), as after a change of params")


if __name__ == "__main__":
    cli.run(main)
