"""What a person reads while a study runs: a line a trial, in a terminal and in a log file alike."""

from reprotune.study import Spec, Trial


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
        if result.state == "COMPLETE" and (not self._best or (result.accuracy or 0) > (self._best.result.accuracy or 0)):
            self._best = trial
        accuracy = f"accuracy {result.accuracy:.4f}" if result.accuracy is not None else result.reason
        best = f"best {self._best.result.accuracy:.4f} (trial {self._best.number})" if self._best else "no best yet"
        print(
            f"[{self._told:>{len(str(self._spec.n_trials))}}/{self._spec.n_trials}] trial {trial.number:<4} {result.state:<8} "
            f"epoch {len(result.curve):<3} {accuracy} | {best}, {self._pruned} pruned, {self._left(trial.elapsed)} left",
            flush=True,
        )

    def _left(self, elapsed: float) -> str:
        """By trials at the speed so far, or by the timeout, whichever ends first."""
        left = elapsed / self._told * (self._spec.n_trials - self._told)
        if self._spec.timeout is not None:
            left = min(left, max(0.0, self._spec.timeout - elapsed))
        return f"{int(left) // 60}:{int(left) % 60:02}"
