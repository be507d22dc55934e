"""A study from start to end: its trials run, shown, tracked and written to its result files."""

from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from reprotune import journal, plots, results, study, tracking
from reprotune.params import Params
from reprotune.progress import Progress
from reprotune.study import Spec, Trial


def conduct(spec: Spec, params: Params, executor: Executor, out: Path, anew: bool) -> None:
    """Run the study, or what its journal lacks of it. `anew`: train a finished one again, from its first trial."""

    def discard(opened: journal.Journal) -> bool:
        return anew and study.finished(spec, opened)

    with (
        journal.opened(spec.journal, spec.directions, discard) as opened,
        tracking.parent_run(spec.name, spec.identity, _determining(spec, params)) as parent,
    ):
        progress = Progress(spec)
        trials: list[Trial] = []
        for trial in study.run(spec, opened, executor):
            trials.append(trial)
            progress.show(trial)
            parent.log_trial(spec, opened.study, trial)
        metrics = _write(spec, trials, out)
        parent.keep_only(len(trials))
        parent.log_series(results.series(spec, trials), trials)
        parent.log_metrics({name: value for name, value in metrics.items() if isinstance(value, int | float)})
        parent.log_tags({"n_trials": spec.n_trials, "timeout": spec.timeout, "stopped_by": metrics["stopped_by"]})
        parent.log_files(out)


def _write(spec: Spec, trials: list[Trial], out: Path) -> dict[str, Any]:
    if spec.cost is None:
        plots.write_single_objective(out / "figures", trials)
        return results.write_single_objective(out, spec, trials)
    plots.write_multi_objective(out / "figures", spec, trials, results.pareto_front(trials))
    return results.write_multi_objective(out, spec, trials)


def _determining(spec: Spec, params: Params) -> dict[str, Any]:
    """What MLflow shows as the study's params: those that a resumed study cannot have changed."""
    content = params.model_dump(mode="json")
    return {
        "seed": params.seed,
        "data": {"dataset": params.data.dataset, "digest": spec.dataset.digest},
        "model": content["model"],
        "training": content["training"],
        "window": spec.window,
        **{key: value for key, value in content[spec.name].items() if key not in ("n_trials", "timeout")},
    }
