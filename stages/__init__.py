"""The commands, `python -m stages.NAME`: the stages of dvc.yaml, and what checks, repairs and uses their results.

Wiring only; the work is done in `reprotune`.
"""
