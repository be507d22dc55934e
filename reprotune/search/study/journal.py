"""A study's journal: an Optuna storage that survives a kill, with one record for an ask and one for a result."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Literal

import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter

from reprotune.artifacts import locked
from reprotune.errors import UserError, one_line
from reprotune.search.trial import Result

Direction = Literal["minimize", "maximize"]

_RESULT = TypeAdapter(Result)
_REPEAT = "repeat "
_WAIT = 15  # seconds, for a process that is about to end because its DVC was killed


class _AlreadyLocked(JournalFileOpenLock):
    """`opened` holds a lock that the system frees when its holder is killed; Optuna's own would be waited for."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class Journal:
    """The asked trials of a study in order of their number, and the results of those that were told."""

    def __init__(self, path: Path, directions: Sequence[Direction]) -> None:
        backend = JournalFileBackend(str(path), lock_obj=_AlreadyLocked(str(path)))
        self._storage = optuna.storages.JournalStorage(backend)
        self.study = optuna.create_study(
            storage=self._storage, study_name=path.stem, directions=directions, load_if_exists=True
        )

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def trial(self, number: int) -> FrozenTrial:
        """An asked one. That takes as long whatever their number, as `trials` does not."""
        return self._storage.get_trial(self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self.study._study_id, number)

    def ask(self, trial: FrozenTrial) -> None:
        """Record an asked trial with all its params: a kill leaves either all of it or nothing."""
        asked = copy(trial)
        asked.user_attrs = {**trial.user_attrs, "number": trial.number}  # by which a lost line is noticed
        self.study.add_trial(asked)

    def tell(self, number: int, result: Result, values: Sequence[float] | None, elapsed: float) -> None:
        """Record a result. `elapsed`: seconds that the study has taken so far, over all its resumes."""
        trial_id = self._trial_id(number)
        told = {"elapsed": elapsed, "result": _RESULT.dump_python(result, mode="json")}
        self._storage.set_trial_user_attr(trial_id, "told", told)
        self._storage.set_trial_state_values(trial_id, TrialState[result.state], values)

    def keep_repeat(self, number: int, repeat: int, result: Result) -> None:
        """Record a further training of a told trial. Optuna adds nothing to such a one, so it is noted of the study."""
        self.study.set_user_attr(f"{_REPEAT}{number} {repeat}", _RESULT.dump_python(result, mode="json"))

    @property
    def repeats(self) -> dict[tuple[int, int], Result]:
        """(number of a trial, of its repeat from 0) → that training's result."""
        attrs = self._storage.get_study_user_attrs(self.study._study_id)
        found = ((name.removeprefix(_REPEAT).split(), attrs[name]) for name in attrs if name.startswith(_REPEAT))
        return {(int(number), int(repeat)): _RESULT.validate_python(result) for (number, repeat), result in found}

    def end(self, told: int) -> None:
        """Record that the study ended with so many trials, the most that it ever did: a shorter one forgets none."""
        if self.ended is None or told > self.ended:
            self.study.set_user_attr("ended", told)

    @property
    def ended(self) -> int | None:
        """With how many told trials the study ended, the time that it went on for longest."""
        return self.study.user_attrs.get("ended")

    @property
    def elapsed(self) -> float:
        """Seconds that the study had taken when the last result was told."""
        return max((t.user_attrs["told"]["elapsed"] for t in self.trials if t.state.is_finished()), default=0.0)

    @staticmethod
    def result(trial: FrozenTrial) -> Result | None:
        """None if the trial was asked, but not told."""
        return _RESULT.validate_python(trial.user_attrs["told"]["result"]) if trial.state.is_finished() else None


@contextmanager
def opened(path: Path, directions: Sequence[Direction], discard: Callable[[Journal], bool]) -> Iterator[Journal]:
    """The journal at `path`, for this process alone; a new one if `discard` says so of what is there.

    Raises UserError if another process has it, or if it is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock"), "another process runs this study", _WAIT):
        journal = _read(path, directions)
        if discard(journal):
            path.replace(path.with_suffix(".previous"))
            journal = Journal(path, directions)
        yield journal


def unfinished(path: Path) -> bool:
    """Whether a journal, of whatever study, was left before the study's end. It is only read."""
    _, ended, since = path.read_bytes().rpartition(b'{"ended":')
    if ended and b'"told":' not in since:
        return False  # without loading it: a hundred studies take seconds
    backend = JournalFileBackend(str(path), lock_obj=_AlreadyLocked(str(path)))
    try:
        study = optuna.load_study(study_name=path.stem, storage=optuna.storages.JournalStorage(backend))
    except (AssertionError, KeyError, TypeError, ValueError):  # whatever Optuna makes of a damaged one
        return False
    told = [trial.state.is_finished() for trial in study.get_trials(deepcopy=False)]
    return not all(told) and sum(told) != study.user_attrs.get("ended")


def _read(path: Path, directions: Sequence[Direction]) -> Journal:
    try:
        if path.exists():
            _mend(path)
        journal = Journal(path, directions)
        for number, trial in enumerate(journal.trials):
            Journal.result(trial)
            if trial.user_attrs["number"] != number:
                raise ValueError(f"trial {number} is missing")
        _ = journal.repeats
    except (AssertionError, KeyError, TypeError, ValueError) as error:  # whatever Optuna or pydantic make of it
        cause = one_line(f"{type(error).__name__} {error}")
        advice = "move it away, and its trials are trained again"
        raise UserError(f"{path}: is damaged, or the journal of another study or version ({cause}); {advice}") from None
    return journal


def _mend(path: Path) -> None:
    """Cut off a last line that a kill left unfinished: what it would have said has not happened.

    Raises ValueError if another line is no record, or if the journal is not this study's.
    """
    content = path.read_bytes()
    complete = content.rfind(b"\n") + 1
    records = [json.loads(line) for line in content[:complete].splitlines()]
    if records and records[0]["study_name"] != path.stem:
        raise ValueError(records[0]["study_name"])
    if complete < len(content):
        os.truncate(path, complete)
