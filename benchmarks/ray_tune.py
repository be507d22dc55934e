"""The same configs through Ray Tune, with its own logging to MLflow: what the pipeline's speed is compared with.

    pip install "ray[tune]"   # which the project does not depend on
    PYTHONPATH=. python -m benchmarks.ray_tune usual|skilled CONFIGS.json DATASET_FOLDER

prints the seconds from the call of Tune to its end: one trial a core at a time, all of them once, without a scheduler.
"""

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.loops import LOOPS, read


def main() -> None:
    name, configs, folder = sys.argv[1:]
    content = json.loads(Path(configs).read_text(encoding="utf-8"))
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "RAY_DEDUP_LOGS": "0"}
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    def trainable(space: dict[str, Any]) -> None:
        splits = (read(Path(folder), split) for split in ("train", "valid"))
        for accuracy in LOOPS[name](space["config"], *splits):
            tune.report({"accuracy": accuracy})

    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with TemporaryDirectory() as place:
        callback = MLflowLoggerCallback(f"sqlite:///{place}/mlflow.db", experiment_name="ray")
        started = time.perf_counter()
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"config": tune.grid_search(content)},
            run_config=tune.RunConfig(storage_path=place, callbacks=[callback], verbose=0),
        ).fit()
        seconds = time.perf_counter() - started
        assert len(results) == len(content)
        assert not results.errors
    print(seconds)


if __name__ == "__main__":
    main()
