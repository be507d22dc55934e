"""How fast, and against what: `python -m benchmarks.NAME`."""
