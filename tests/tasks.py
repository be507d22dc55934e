"""Tasks that kill their worker, lack memory or hang in it. A worker imports this alone, and none of the tests."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune.search.trial import Result, Task, run_trial

if TYPE_CHECKING:
    from reprotune.search.study.trials import Trial


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


def failing(work: Callable[[Task], Result], trials: "list[Trial]") -> set[int]:
    return {2} if work is hangs_once else {trial.number for trial in trials if trial.config["width_1"] > 5}


def die_unless_alone(folder: Path, number: int) -> int:
    """Kills its worker; the first time only, if `number` is not 2."""
    marker = folder / str(number)
    if number == 2 or not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_as_it_answers_unless_alone(folder: Path, number: int) -> int:
    """Kills its worker with half of the answer written, the first time only."""
    marker = folder / str(number)

    def half(self: Any, written: bytes) -> None:
        os.write(self.fileno(), written[: len(written) // 2])
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    if not marker.exists():
        Connection._send = half  # type: ignore[attr-defined]
    return number


def lack_unless_alone(folder: Path, number: int, error: Exception) -> int:
    """Raises it; the first time only, if `number` is not 2."""
    marker = folder / str(number)
    if number == 2 or not marker.exists():
        marker.touch()
        raise error
    return number


def answer(number: int) -> int:
    time.sleep(0.05)
    return number
