"""The stages of dvc.yaml: `python -m stages.NAME`. Wiring only; the work is done in `reprotune`."""
