"""A study: what it is, and how it runs, over what lies beside this folder: space, samplers, pruners, trial.

In: a section of params.yaml, a dataset, an executor. Out: the told trials in the order of their numbers, and a journal.
"""
