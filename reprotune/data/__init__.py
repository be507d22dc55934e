"""Image datasets: fetched, verified, split, stored, opened.

In: the section `data` of params.yaml, and original files from wherever they are. Out: `data/<dataset>/`, and from
it tensors, and what a model must know of them.
"""
