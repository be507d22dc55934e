"""How well it searches, how far it scales: `python -m benchmarks.NAME`, from the repository's root."""
