"""Edges that are in one circuit and not in the other: does a node come or go with them?"""

import numpy as np
from jaxtyping import Float, Int

from timelapse.circuits.comparison.circuit_sets import Circuits, Counts, products
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.reachability import wiring


def edge_flips(a: Circuits, b: Circuits) -> Counts:
    """How many edges are in just one of the two circuits."""
    shared = products(a.indicator, b.indicator)
    return a.size[..., :, None] + b.size[..., None, :] - 2 * shared


def edge_flips_same_nodes(a: Circuits, b: Circuits) -> Counts:
    """How many of these join two nodes that both circuits have: rewiring.

    A key or value that heads share is in a circuit if one of those heads is.
    """
    shared = products(a.indicator, b.indicator)
    left = products(a.indicator, b.between_nodes) - shared
    right = products(a.between_nodes, b.indicator) - shared
    return left + right


def edge_flips_changed_node(a: Circuits, b: Circuits) -> Counts:
    """How many of these have an end node that is in just one of the two circuits."""
    return edge_flips(a, b) - edge_flips_same_nodes(a, b)


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
