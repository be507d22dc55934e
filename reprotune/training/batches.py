"""How examples are taken together, in training and in scoring."""

LEAST = 16  # examples


def batch_sizes(examples: int, size: int) -> list[int]:
    """Batches of `size`; what remains joins the batch before it if it is fewer than LEAST, and than a whole one.

    So no last batch is of one example, for which BatchNorm has no variance, nor so small that it says little.
    """
    whole, rest = divmod(examples, size)
    sizes = [size] * whole
    if rest and whole and rest < LEAST:
        sizes[-1] += rest
    elif rest:
        sizes.append(rest)
    return sizes
