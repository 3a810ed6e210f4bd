"""Which edges make a circuit: the strongest, pruned to what leads from the input to the logits.

Free of torch, because the figures select the edges that they draw with it too.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.reachability import Wiring, wiring

Selection = Literal["absolute", "signed"]


def choose(
    scores: Float[np.ndarray, "*circuit edge"],
    shape: GraphShape,
    n: int,
    how: Selection = "absolute",
) -> Bool[np.ndarray, "*circuit edge"]:
    """The circuits of size `n`: n edges, then pruned, so that fewer may be left.

    Args:
        scores: in the order of `GraphShape.edges`; those that are not finite are never chosen.
        shape: the graph.
        n: how many edges are chosen before pruning; all of them if there are fewer. Ties go to
            the edge whose source's name sorts first, then to that of its target.
        how: "absolute" takes the largest |score|; "signed" the most negative, which are the most
            helpful, and edges that hinder only when no others are left.

    Raises:
        ValueError: `n` is less than 1.
    """
    if n < 1:
        raise ValueError(f"a circuit needs at least one edge, not {n}")
    graph = wiring(shape)
    strength = -scores if how == "signed" else np.abs(scores)
    strength = np.where(np.isfinite(scores), strength, -np.inf)
    return graph.on_paths(_top(strength, graph, n))


def prune(
    kept: Bool[np.ndarray, "*circuit edge"], shape: GraphShape
) -> Bool[np.ndarray, "*circuit edge"]:
    """The kept edges that lie on a path from the input to the logits over kept edges.

    It is what is left when edges whose source has no way in or whose target has no way out are
    taken away until nothing changes. A head is one node, whichever of its ports an edge enters.
    """
    return wiring(shape).on_paths(kept)


def _top(
    strength: Float[np.ndarray, "*circuit edge"], graph: Wiring, n: int
) -> Bool[np.ndarray, "*circuit edge"]:
    possible = strength > -np.inf
    n_others = strength.shape[-1] - n
    if n_others <= 0:
        return possible
    bar = np.partition(strength, n_others, axis=-1)[..., n_others, None]
    top = strength >= bar
    for circuit in map(tuple, np.argwhere(top.sum(-1) > n)):
        above = strength[circuit] > bar[circuit]
        tied = graph.by_name[(top[circuit] & ~above)[graph.by_name]]
        above[tied[: n - above.sum()]] = True
        top[circuit] = above
    return top & possible
