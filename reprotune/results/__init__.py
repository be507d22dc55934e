"""A study's trials → result files, and back.

In: trials. Out: tables and configs in `results/` that are the same, byte for byte, for the same trials; which trials
win; and, read from these files, the trials again.
"""
