"""The seeds of a trial."""

import numpy as np


def seeds(seed: int, name: str, number: int, again: int | None = None) -> tuple[int, int]:
    """(of the sampler, of the training) for one trial: independent streams for every seed, study and number.

    again: the attempt to propose it after the first, from 1; or the repeat of its training, from 0.
    """
    stream = np.random.SeedSequence([seed, number, *name.encode()], spawn_key=() if again is None else (again,))
    sampler, training = stream.generate_state(2)
    return int(sampler), int(training)
