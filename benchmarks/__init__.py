"""How well the search does, and against what: `python -m benchmarks.NAME`, from the repository's root."""
