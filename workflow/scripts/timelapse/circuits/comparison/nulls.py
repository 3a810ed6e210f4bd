"""How alike one checkpoint is to itself: circuits of two random halves of its prompts.

Two circuits differ only if they differ by more than that. A half has half the prompts, so halves
differ by more than two full samples of prompts would: the null is on the safe side for whoever
claims a difference.
"""

import numpy as np
from jaxtyping import Float

from timelapse.circuits.comparison.circuit_sets import Circuits
from timelapse.circuits.comparison.measures import measures
from timelapse.circuits.graph import GraphShape


def split_half_nulls(
    samples: Float[np.ndarray, "example edge"],
    weights: Float[np.ndarray, "split half example"],
    shape: GraphShape,
    n: int,
) -> dict[str, float]:
    """The mean over splits of every measure between the circuits of the two halves.

    Measures that distinguish the two circuits are taken both ways round.

    Args:
        samples: the scores of one checkpoint's prompts.
        weights: from `stats.half_weights`.
        shape: the graph.
        n: the size of the circuits before pruning.
    """
    halves = Circuits.strongest(weights @ samples, shape, n)
    found = measures(halves, halves, np.array([[0, 1], [1, 0]]))
    return {
        name: float(values[known].mean()) if (known := np.isfinite(values)).any() else np.nan
        for name, values in found.items()
    }
