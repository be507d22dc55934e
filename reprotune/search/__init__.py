"""A study: what is searched, who proposes, who prunes, and the in-order window that asks and tells.

In: params.yaml, a dataset, an executor. Out: the study's trials in the order of their numbers, and a journal by
which an interrupted one goes on.
"""
