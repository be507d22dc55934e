"""A search: the space, who proposes, who prunes, one trial; and in `study`, what asks for trials and tells of them.

In: params.yaml, a dataset, an executor. Out: the study's trials in the order of their numbers, and a journal by
which an interrupted one goes on.
"""
