"""A rule that trains finalists again gives up trials for it, and chooses by what it trained."""

from benchmarks.finalists import DEFAULT, Recorded, Rule, finalists, winner

TRIALS = [  # epochs, accuracies of the last epochs, of repeats
    (10, (0.6, 0.70), (0.60, 0.60)),
    (10, (0.9, 0.80), (0.70, 0.75)),
    (10, (), ()),
    (10, (0.5, 0.75), (0.79, 0.74)),
    (10, (0.7, 0.76), ()),
    (10, (0.8, 0.90), (0.50, 0.50)),
]
STUDY = {n: Recorded("made_up", 0, n, epochs, last, repeats) for n, (epochs, last, repeats) in enumerate(TRIALS)}
STUDY[DEFAULT] = Recorded("made_up", 0, DEFAULT, 0, (), ())


def chosen(rule: Rule) -> list[int]:
    return [trial.number for trial in finalists(rule, STUDY)]


def test_the_finalists_epochs_are_those_of_the_last_trials() -> None:
    assert chosen(Rule()) == [5]
    assert chosen(Rule(best=2)) == [5, 1]
    assert chosen(Rule(best=1, repeats=1)) == [1]  # of the first five
    assert chosen(Rule(best=2, repeats=1)) == [1, 3]  # of the first four
    assert chosen(Rule(best=2, repeats=2)) == [1, 0]  # of the first two


def test_what_wins() -> None:
    assert winner(Rule(), STUDY).number == 5
    assert winner(Rule(last=2), STUDY).number == 1  # 0.85, the first of equals
    assert winner(Rule(best=2, repeats=1), STUDY).number == 3  # 0.77 against 0.75
    assert winner(Rule(best=2, repeats=2), STUDY).number == 1
    assert winner(Rule(best=2, repeats=1, over="repeats"), STUDY).number == 3
