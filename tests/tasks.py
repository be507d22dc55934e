"""Tasks that kill their worker, lack memory or hang in it."""

import os
import signal
import time
from collections.abc import Callable

from reprotune.search import study
from reprotune.search.trial import Result, Task, run_trial


def killed_if_wide(task: Task) -> Result:
    if task.config["width_1"] > 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_trial(task)


def lacks_memory_if_wide(task: Task) -> Result:
    if task.config["width_1"] > 5:
        raise MemoryError("as told")
    return run_trial(task)


def hangs_once(task: Task) -> Result:
    if task.number == 2:
        time.sleep(600)
    return run_trial(task)


def failing(work: Callable[[Task], Result], trials: list[study.Trial]) -> set[int]:
    return {2} if work is hangs_once else {trial.number for trial in trials if trial.config["width_1"] > 5}
