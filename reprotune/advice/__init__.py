"""What a run's results say about the run itself: what to change in params.yaml, and why.

In: the result files, and the params that made them. Out: advice, the most important first; none where all is well.
"""
