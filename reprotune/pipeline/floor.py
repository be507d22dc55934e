"""The floor of the second study where it is `default`: what the untuned default config reaches on valid."""

from concurrent.futures import Executor

from reprotune.data.metric import told
from reprotune.data.stored import StoredDataset
from reprotune.errors import PARAMS, UserError
from reprotune.params import Params
from reprotune.search.study import journal, trials, window
from reprotune.search.study.declaration import default_study
from reprotune.search.study.journal import Journal


def default_accuracy(params: Params, dataset: StoredDataset, executor: Executor) -> float:
    """A study of one trial, so that it is trained once, whatever interrupts it. Raises UserError if it failed."""
    alone = default_study(params, dataset)

    def failed(opened: Journal) -> bool:
        return any(trial.result.state == "FAIL" for trial in trials.told(alone, opened))

    with journal.opened(alone.journal, alone.directions, failed) as opened:
        (trial,) = window.run(alone, opened, executor)
    if trial.result.accuracy is None or trial.result.state == "FAIL":
        key = f"{PARAMS}: multi_objective.min_accuracy = 'default'"
        raise UserError(f"{key}: the default config failed ({trial.result.reason}); give a number, or null")
    reached = f"the default config reaches {trial.result.accuracy:.4f} on valid"
    print(f"multi_objective.min_accuracy: {reached} ({told(alone.metric)})", flush=True)
    return trial.result.accuracy
