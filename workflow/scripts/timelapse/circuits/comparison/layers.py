"""Where in the model scores change: by the part that reads the edges."""

import numpy as np
from jaxtyping import Float, Int

from timelapse.circuits.comparison.compared import Circuits
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.wiring import wiring


def parts(shape: GraphShape) -> tuple[str, ...]:
    """What reads edges, in the order of the computation: a0, m0, a1, m1, ..., logits."""
    layers = range(shape.n_layers)
    return (*(f"{kind}{layer}" for layer in layers for kind in "am"), "logits")


def layer_change(
    a: Circuits, b: Circuits, pairs: Int[np.ndarray, "pair 2"]
) -> Float[np.ndarray, "*sample pair part"]:
    """The sum of |score of b - score of a| over all edges into each part.

    Args:
        a: the circuits before.
        b: the circuits after.
        pairs: which of `a` goes with which of `b`.
    """
    starts = [stage.edges.start for stage in wiring(a.shape).stages]
    change = np.empty((*a.kept.shape[:-2], len(pairs), len(starts)), dtype=np.float32)
    for number, (before, after) in enumerate(pairs):
        size = np.abs(b.scores[..., after, :] - a.scores[..., before, :])
        change[..., number, :] = np.add.reduceat(size, starts, axis=-1)
    return change
