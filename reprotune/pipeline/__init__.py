"""What the stages run: a study from start to end, the evaluation, verify, the report, and how progress is shown.

In: params.yaml and what the stages before wrote. Out: all that is in `results/`, and in MLflow.
"""
