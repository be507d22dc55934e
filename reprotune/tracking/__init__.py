"""MLflow: its store, the parent runs of studies and of the evaluation, the runs of trials.

In: trials, metrics, files. Out: what a person finds in `mlflow ui`. Nothing else imports mlflow.
"""
