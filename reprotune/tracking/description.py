"""What MLflow's page of a study says, in Markdown."""

from collections.abc import Iterator, Mapping, Sequence

from reprotune.results.scores import on_valid
from reprotune.results.winners import as_config, best, feasible, pareto_front
from reprotune.search.spec import StudySpec
from reprotune.search.study import Trial
from reprotune.search.trial import State

_STATES: Mapping[State, str] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def of_study(spec: StudySpec, trials: Sequence[Trial]) -> str:
    """Its counts, its best trial or its front, and how to read the nested runs."""
    states = [trial.result.state for trial in trials]
    counts = ", ".join(f"{states.count(state)} {name}" for state, name in _STATES.items())
    found = _front(spec, trials) if spec.cost else _best(trials)
    reading = "A nested run is a trial: FINISHED if it is complete, KILLED if it was pruned, FAILED if it failed."
    return "\n".join([f"{len(trials)} trials: {counts}.\n", *found, f"\n{reading} Figures and tables: Artifacts."])


def _best(trials: Sequence[Trial]) -> Iterator[str]:
    winner = best(trials)
    yield f"Best: trial {winner.number}, validation accuracy {on_valid(as_config(winner))}.\n"
    yield from (f"- {name}: {value}" for name, value in winner.config.items())


def _front(spec: StudySpec, trials: Sequence[Trial]) -> Iterator[str]:
    cost = str(spec.cost)
    if not feasible(spec, trials):
        yield f"No trial reached min_accuracy, {spec.min_accuracy}: the most accurate stand in.\n"
    yield f"The Pareto front: no trial has both fewer {cost} and more accuracy than one of these.\n"
    yield f"| trial | {cost} | validation accuracy |\n|---|---|---|"
    for row in map(as_config, pareto_front(spec, trials)):
        yield f"| {row['number']} | {row[cost]:,} | {on_valid(row)} |"
