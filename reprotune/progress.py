"""What a person reads while a study runs: a line a trial, in a terminal and in a log file alike."""

from reprotune.spec import Spec
from reprotune.study import Trial


class Progress:
    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._best: Trial | None = None
        self._pruned = 0
        self._told = 0

    def show(self, trial: Trial) -> None:
        result = trial.result
        self._told += 1
        self._pruned += result.state == "PRUNED"
        if result.state == "COMPLETE" and (self._best is None or _accuracy(trial) > _accuracy(self._best)):
            self._best = trial
        total = self._spec.n_trials
        outcome = result.reason if result.state == "FAIL" else f"accuracy {_accuracy(trial):.4f}"
        best = f"best {_accuracy(self._best):.4f} (trial {self._best.number})" if self._best else "no best yet"
        print(
            f"[{self._told:>{len(str(total))}}/{total}] {result.state:<8} epoch {len(result.curve):<3} {outcome} | "
            f"{best}, {self._pruned} pruned, {self._left(trial.elapsed)} left",
            flush=True,
        )

    def _left(self, elapsed: float) -> str:
        """By trials at the speed so far, or by the timeout, whichever ends first."""
        left = elapsed / self._told * (self._spec.n_trials - self._told)
        if self._spec.timeout is not None:
            left = min(left, max(0.0, self._spec.timeout - elapsed))
        return f"{int(left) // 60}:{int(left) % 60:02}"


def _accuracy(trial: Trial) -> float:
    return trial.result.accuracy or 0.0
