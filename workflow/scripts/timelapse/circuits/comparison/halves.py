"""Random halves of prompts, from which circuits of one checkpoint are compared with each other."""

import numpy as np
from jaxtyping import Float


def half_weights(
    n_examples: int, n_splits: int, random: np.random.Generator
) -> Float[np.ndarray, "split half example"]:
    """The weight of every prompt in the halves of random splits; of an odd number one is left out.

    Without any split if there are fewer than two prompts.
    """
    half = n_examples // 2
    if not half:
        return np.zeros((0, 2, n_examples), dtype=np.float32)
    order = random.permuted(np.tile(np.arange(n_examples), (n_splits, 1)), axis=1)
    weights = np.zeros((n_splits, 2, n_examples), dtype=np.float32)
    for number in range(2):
        chosen = order[:, number * half : (number + 1) * half]
        np.put_along_axis(weights[:, number], chosen, 1 / half, 1)
    return weights
