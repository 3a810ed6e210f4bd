"""Which edges make a circuit: the strongest, pruned to what leads from the input to the logits.

Stage: circuits. Free of torch, because the figures select the edges that they draw with it too.
"""

import heapq
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.reachability import Wiring, wiring

Selection = Literal["absolute", "signed", "greedy"]


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
            helpful, and edges that hinder only when no others are left; "greedy" begins at the
            logits and takes, one by one, the largest |score| among the edges into nodes that are
            in the circuit (Hanna, Pezzelle & Belinkov, "Have Faith in Faithfulness", 2024,
            section 3), so that all have a way out before pruning.
    """
    if n < 1:
        raise ValueError(f"a circuit needs at least one edge, not {n}")
    graph = wiring(shape)
    strength = -scores if how == "signed" else np.abs(scores)
    strength = np.where(np.isfinite(scores), strength, -np.inf)
    if how == "greedy":
        chosen = np.zeros(strength.shape, dtype=bool)
        for circuit in np.ndindex(strength.shape[:-1]):
            chosen[circuit] = _outwards_from_logits(strength[circuit], graph, n)
    else:
        chosen = _top(strength, graph, n)
    return graph.on_paths(chosen)


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


def _outwards_from_logits(
    strength: Float[np.ndarray, "edge"], graph: Wiring, n: int
) -> Bool[np.ndarray, "edge"]:
    rank = _name_ranks(graph)
    sources, targets = graph.shape.sources, graph.shape.targets
    firsts = np.searchsorted(graph.target, np.arange(len(targets) + 1))
    entrances: dict[int, list[int]] = {place: [] for place in range(len(sources))}
    places = {source: place for place, source in enumerate(sources)}
    for number, port in enumerate(targets):
        for reader in graph.shape.readers(port):
            entrances[places[reader]].append(number)
    waiting: list[tuple[float, int, int]] = []
    opened: set[int] = set()

    def open_up(target: int) -> None:
        if target in opened:
            return
        opened.add(target)
        into = np.arange(firsts[target], firsts[target + 1])
        into = into[strength[into] > -np.inf]
        for entry in zip(-strength[into], rank[into], into, strict=True):
            heapq.heappush(waiting, entry)

    chosen = np.zeros(len(strength), dtype=bool)
    open_up(len(targets) - 1)
    for _ in range(n):
        if not waiting:
            break
        *_, edge = heapq.heappop(waiting)
        chosen[edge] = True
        for target in entrances[int(graph.source[edge])]:
            open_up(target)
    return chosen


def _name_ranks(graph: Wiring) -> np.ndarray:
    rank = np.empty_like(graph.by_name)
    rank[graph.by_name] = np.arange(len(rank))
    return rank
