"""How a study went: what failed, what was pruned, whether it ended too early or too late, how the best learned."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from reprotune.advice.run import Advice, Study
from reprotune.results import winners
from reprotune.results.best_so_far import best_accuracies, hypervolumes
from reprotune.search.trial import Result
from reprotune.training.learning_curve import Epoch

_AFTER_FAILURE = {
    "Diverged": "Lower lr in {name}.search_space.",
    "TimeoutError": "Raise execution.trial_timeout, then run `make retry`.",
}
_OTHER_FAILURE = (
    "Fix the cause (fewer execution.workers need less memory), then run `make retry`; "
    "results/{name}/{file} has all reasons."
)


def failures(study: Study) -> Iterator[Advice]:
    """Trials failed; of those whose loss became infinite, which a wide range of lr brings, more than a twentieth."""
    kinds = _failed(trial.result for trial in study.trials)
    failed = sum(kinds.values())
    if failed > kinds["Diverged"] or failed > len(study.trials) / 20:
        kind, count = kinds.most_common(1)[0]
        yield Advice(
            f"{study.name}: {failed} of {len(study.trials)} trials failed, {count} of them by {kind}.",
            "They took time, and the search learned little from them.",
            _after(kind, study, "trials.csv"),
        )


def repeat_failures(study: Study) -> Iterator[Advice]:
    """Finalists' repeats failed, and not by their config."""
    repeats = [repeat for trial in study.trials for repeat in trial.repeats]
    kinds = _failed(repeats)
    del kinds["Diverged"]
    if kinds:
        kind, count = kinds.most_common(1)[0]
        failed = f"{kinds.total()} of {len(repeats)} repeats of its finalists failed"
        yield Advice(
            f"{study.name}: {failed}, {count} of them by {kind}.",
            "Each counts as an accuracy of 0, so another trial may have won.",
            _after(kind, study, "finalists.csv"),
        )


def _failed(results: Iterable[Result]) -> Counter[str]:
    """Of those that failed, how many by which kind of error."""
    return Counter(result.reason.partition(":")[0] for result in results if result.state == "FAIL")


def _after(kind: str, study: Study, file: str) -> str:
    return _AFTER_FAILURE.get(kind, _OTHER_FAILURE).format(name=study.name, file=file)


def ended_too_early(study: Study) -> Iterator[Advice]:
    """The last quarter of the trials brought more than a standard error."""
    reached, count = _reached(study), len(study.trials)
    if (
        study.stopped_by != "exhausted"
        and count >= 20
        and reached[-1] - reached[count * 3 // 4 - 1] > study.standard_error
    ):
        yield Advice(
            f"{study.name}: the last quarter of its {count} trials still made it clearly better.",
            "More trials will probably find more.",
            f"Raise {study.length}; only the difference is trained.",
        )


def ended_too_late(study: Study) -> Iterator[Advice]:
    """The second half of the trials brought less than one validation image."""
    reached, count = _reached(study), len(study.trials)
    if count >= 100 and reached[-1] - reached[count // 2 - 1] < 1 / study.images:
        what = "front" if study.spec.cost else "accuracy"
        yield Advice(
            f"{study.name}: the second half of its {count} trials brought no better {what}.",
            "Half of them would have been enough.",
            f"Lower {study.length}, or widen {study.name}.search_space.",
        )


def _reached(study: Study) -> list[float]:
    """The hypervolume after each trial, or the best accuracy."""
    return hypervolumes(study.spec, study.trials) if study.spec.cost else best_accuracies(study.trials)


def timed_out(study: Study) -> Iterator[Advice]:
    if study.stopped_by == "timeout":
        count = len(study.trials)
        yield Advice(
            f"{study.name}: its timeout ended it after {count} of {study.spec.n_trials} trials.",
            "A faster or slower machine ends at another trial, so the results cannot be reproduced.",
            f"Set {study.name}.n_trials to {count}, and {study.name}.timeout to null.",
        )


def pruned_too_many(study: Study) -> Iterator[Advice]:
    """Nine of ten or more."""
    complete, pruned = len(study.ranked), _pruned(study)
    if complete + pruned >= 20 and pruned >= 9 * complete:
        yield Advice(
            f"{study.name}: only {complete} of {len(study.trials)} trials were trained to the end.",
            "So there is little to choose from.",
            f"Take another {_pruner(study)}, or none.",
        )


def pruned_too_few(study: Study) -> Iterator[Advice]:
    """A fiftieth or less, although there is a pruner."""
    pruned = _pruned(study)
    judged, key = study.spec.rung or study.spec.pruner != "none", _pruner(study)
    if judged and len(study.trials) >= 40 and pruned <= len(study.trials) / 50:
        yield Advice(
            f"{study.name}: its pruner ended {pruned} of {len(study.trials)} trials.",
            "So it saves no time.",
            f"Lower the margin, as in {key}: {{name: pareto, margin: 0.01}}, or set {study.name}.rung."
            if study.spec.pruner == "pareto" and not study.spec.rung
            else f"Take another {key}.",
        )


def pruned_too_early(study: Study) -> Iterator[Advice]:
    """Most of the best trials were in the worse half of the complete ones, at the epoch where pruning was at work.

    Pareto's pruner is left out: it compares with what costs no more alone.
    """
    ends = [len(t.result.curve) for t in study.trials if t.result.state == "PRUNED" and not t.result.untrained]
    if len(ends) < 5 or study.spec.cost or not study.top:
        return
    epoch = int(median(ends))
    then = {t.number: t.result.curve[epoch - 1].valid_accuracy for t in study.ranked if len(t.result.curve) > epoch}
    top = [then[trial.number] for trial in study.top if trial.number in then]
    behind = sum(reached < median(then.values()) for reached in top)
    if behind > len(top) / 2:
        yield Advice(
            f"{study.name}: after epoch {epoch}, where pruning was at work, {behind} of the {len(top)} best trials "
            "were behind most others.",
            "So the pruner may have ended some that would have been ahead later.",
            f"Take another {_pruner(study)}, or none.",
        )


def _pruner(study: Study) -> str:
    """The key that says what prunes."""
    return f"{study.name}.{'rung' if study.spec.rung else 'pruner'}"


def _pruned(study: Study) -> int:
    return sum(trial.result.state == "PRUNED" and not trial.result.untrained for trial in study.trials)


def nothing_feasible(study: Study) -> Iterator[Advice]:
    """No complete trial reached the floor."""
    if study.ranked and not winners.feasible(study.spec, study.trials):
        best = max(map(winners.accuracy, study.ranked))  # of means, as it is judged
        yield Advice(
            f"{study.name}: none of {len(study.ranked)} complete trials reached min_accuracy, {study.spec.floor:.4g}; "
            f"the best has {best:.4f}.",
            "So its front and its winners only stand in.",
            f"Lower {study.name}.min_accuracy, or widen {study.name}.search_space.",
        )


def overfitted(study: Study) -> Iterator[Advice]:
    """The loss of the best trials is more than twice as high on valid as on train, and rises again."""
    ends = [trial.result.curve for trial in study.top]
    if not ends:
        return
    train, valid = (median(curve[-1][column] for curve in ends) for column in (0, 1))
    if valid > 2 * train and median(map(_rise, ends)) > 1.1:
        data = "Raise data.train_examples" if study.params.data.train_examples else "Search shift or weight_decay"
        yield Advice(
            f"{study.name}: the {len(ends)} best trials end with a loss of {train:.2f} on train and {valid:.2f} on "
            "valid, and that rises.",
            "They overfit their training images.",
            f"{data}, or fewer epochs, in {study.name}.search_space.",
        )


def _rise(curve: Sequence[Epoch]) -> float:
    """The last loss on valid over the least, which may be 0: easy images and a sure net bring it there."""
    last, least = curve[-1].valid_loss, min(point.valid_loss for point in curve)
    return last / least if least else math.inf if last else 1.0
