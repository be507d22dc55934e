"""What MLflow's page of a study says, in Markdown."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from reprotune.data import metric
from reprotune.errors import counted
from reprotune.results.scores import on_valid, told
from reprotune.results.winners import accuracy, as_config, best, complete, feasible, pareto_front
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial
from reprotune.search.trial import State
from reprotune.tracking.store import READING

_STATES: Mapping[State, str] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
_MOST = 10  # trials that are listed as the best
_MOST_OF_FRONT = 40  # for MLflow cuts a description after 8,000 characters, and a row has some 150
Link = Callable[[int], str]  # number of a nested run → where its page is


def of_study(spec: StudySpec, trials: Sequence[Trial], link: Link) -> str:
    """Its counts, its best trials or its front, and how to read the nested runs."""
    states = [trial.result.state for trial in trials]
    counts = ", ".join(f"{states.count(state)} {name}" for state, name in _STATES.items())
    found = _front(spec, trials, link) if spec.cost else _best(spec, trials, link)
    return "\n".join(
        [f"{counted(len(trials), 'trial')}: {counts}.\n", *found, f"\n{READING} Figures and tables: Artifacts."]
    )


def _best(spec: StudySpec, trials: Sequence[Trial], link: Link) -> Iterator[str]:
    winner = best(trials)
    found = on_valid(as_config(winner))
    score = f"validation {metric.told(spec.metric)}"
    yield f"Best: trial {winner.number}, {score} {found}. [Its run]({link(winner.number)})\n"
    yield from (f"- {name}: {value}" for name, value in winner.config.items())
    # Where finalists were trained again, their means count, and the others are none of the best.
    again = [trial for trial in trials if trial.repeats] or complete(trials)
    ranked = sorted(again, key=lambda trial: (-accuracy(trial), trial.number))[:_MOST]
    rows = (f"| [{trial.number}]({link(trial.number)}) | {on_valid(as_config(trial))} |" for trial in ranked)
    yield from (f"\n| trial | {score} |\n|---|---|", *rows)


def _front(spec: StudySpec, trials: Sequence[Trial], link: Link) -> Iterator[str]:
    cost = str(spec.cost)
    if not feasible(spec, trials):
        yield f"No trial reached min_accuracy, {spec.min_accuracy}: the most accurate stand in.\n"
    yield f"The Pareto front: no trial has both fewer {cost} and more accuracy than one of these.\n"
    yield f"| trial | {cost} | validation {metric.told(spec.metric)} |\n|---|---|---|"
    front = pareto_front(spec, trials)
    for row in map(as_config, front[-_MOST_OF_FRONT:]):
        yield f"| [{row['number']}]({link(row['number'])}) | {row[cost]:,} | {on_valid(row)} |"
    if (more := len(front) - _MOST_OF_FRONT) > 0:
        yield f"\n{more} more at the cheaper end: pareto_front.csv."


def of_evaluation(scores: Mapping[str, Mapping[str, Any]], link: Link, score: str, model_id: str = "") -> str:
    """The winners by name, as the evaluation's metrics.json has them; each is a nested run, numbered in this order."""
    rows = [
        f"| [{name}]({link(number)}) | {told(score['test_accuracy'])} | {score['flops']:,} | {score['parameters']:,} |"
        for number, (name, score) in enumerate(scores.items())
    ]
    head = f"| winner | test {score} | flops | parameters |\n|---|---|---|---|"
    seeds = max(score["test_accuracy"]["n"] for score in scores.values())
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    about = f"Trained again on train + valid, scored on test: {spread}."
    call = f'mlflow.pyfunc.load_model("models:/{model_id}").predict(["a.png"])'
    load = f"\nThe first of the best config's models, for Python in the repository's root: `{call}`."
    last = "\nThe report of the whole run: Artifacts, report.html."
    return "\n".join([f"{about}\n", head, *rows, *([load] if model_id else []), last])
