"""One training: a config and images → a learning curve, a cost and a model.

In: a config, a split, a seed. Out: the same bits wherever it runs; nothing is written but a model that is saved.
"""
