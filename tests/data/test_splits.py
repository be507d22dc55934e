import numpy as np
import pytest

from reprotune.data.images import Arrays, whole
from reprotune.data.splits import hold_out


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
@pytest.mark.parametrize(
    ("of_classes", "count"), [((500,) * 10, 750), ((7, 7, 7), 10), ((3, 50, 11, 2), 6), ((40,), 1), ((5, 5, 5, 5), 16)]
)
def test_the_rows_held_out_are_scikit_learns(of_classes: tuple[int, ...], count: int, seed: int) -> None:
    from sklearn.model_selection import train_test_split  # 1.4 s, in each process that collects this file

    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(of_classes)), of_classes))
    rows = np.arange(len(labels))
    expected = train_test_split(rows, test_size=count, stratify=labels, random_state=seed)
    parts = hold_out(whole(Arrays(labels[:, None], labels)), count, seed)
    assert all(np.array_equal(part.rows, of) for part, of in zip(parts, expected, strict=True))
