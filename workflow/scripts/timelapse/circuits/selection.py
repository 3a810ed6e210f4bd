"""Which edges make a circuit: the strongest, pruned to what leads from the input to the logits.

Stage: circuits. Free of torch, because the figures select the edges that they draw with it too.
"""

import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from timelapse.circuits.graph import GraphShape

INPUT = "input"
LOGITS = "logits"

_NAME = re.compile(
    r"(input|logits|a(?P<layer>\d+)\.h(?P<head>\d+)(<(?P<port>[qkv])>)?|m(?P<mlp>\d+))"
)


def shape_of(names: Iterable[str]) -> GraphShape:
    """The graph that the names of all its sources and targets span.

    Raises:
        ValueError: a name is not one of a node.
    """
    layers, heads, kv_heads = 0, 0, 0
    for name in names:
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is not the name of a node")
        layers = max(layers, 1 + int(found["layer"] or found["mlp"] or -1))
        if found["port"] in ("k", "v"):
            kv_heads = max(kv_heads, 1 + int(found["head"]))
        elif found["head"]:
            heads = max(heads, 1 + int(found["head"]))
    heads = max(heads, kv_heads)
    return GraphShape(layers, heads, kv_heads or heads)


def strongest(edges: pa.Table, n: int, shape: GraphShape | None = None) -> pa.Table:
    """The circuit of size `n`: the n edges of largest |score|, then pruned.

    An edge stays only while its source has a way in from the input and its target a way out to
    the logits, over edges that stay. A head is one node, whichever of its ports an edge enters.

    Args:
        edges: rows of the edges table for one step, one corruption and one method.
        n: how many edges are chosen before pruning; ties go to the name that sorts first, and
            scores that are not finite are never chosen.
        shape: the graph, if `edges` does not hold all of it.

    Returns:
        The surviving rows, the strongest first. Empty if no chosen path joins input and logits.
    """
    if n < 1:
        raise ValueError(f"a circuit needs at least one edge, not {n}")
    if shape is None:
        shape = shape_of(
            name for end in ("source", "target") for name in pc.unique(edges[end]).to_pylist()
        )
    size = np.abs(edges["score"].to_numpy())
    chosen = np.flatnonzero(np.isfinite(size))
    if len(chosen) > n:
        bar = np.partition(size[chosen], len(chosen) - n)[len(chosen) - n]
        chosen = chosen[size[chosen] >= bar]
    candidates = edges.take(pa.array(chosen))
    order = pc.sort_indices(
        pa.table(
            {
                "size": size[chosen],
                "source": candidates["source"].cast(pa.string()),
                "target": candidates["target"].cast(pa.string()),
            }
        ),
        sort_keys=[("size", "descending"), ("source", "ascending"), ("target", "ascending")],
    )
    circuit = candidates.take(order[:n])
    return circuit.filter(pa.array(_connected(circuit, shape)))


def _connected(edges: pa.Table, shape: GraphShape) -> Bool[np.ndarray, "edge"]:
    """Which edges lie on a path from the input to the logits that uses these edges only.

    What a target reads reaches the nodes behind it over links of its own, which are pruned alike.
    """
    sources, targets = edges["source"].to_pylist(), edges["target"].to_pylist()
    readers = {
        target.name: [reader.name for reader in shape.readers(target)] for target in shape.targets
    }
    within = [
        (target, reader)
        for target in dict.fromkeys(targets)
        for reader in readers[target]
        if reader != target
    ]
    starts = [*sources, *(target for target, _ in within)]
    ends = [*targets, *(reader for _, reader in within)]
    names, codes = np.unique([INPUT, LOGITS, *starts, *ends], return_inverse=True)
    first, last = codes[:2]
    start, end = np.split(codes[2:], 2)
    keep = np.ones(len(start), dtype=bool)
    while True:
        way_in = np.zeros(len(names), dtype=bool)
        way_in[end[keep]] = True
        way_in[first] = True
        way_out = np.zeros(len(names), dtype=bool)
        way_out[start[keep]] = True
        way_out[last] = True
        still = keep & way_in[start] & way_out[end]
        if still.sum() == keep.sum():
            return keep[: len(edges)]
        keep = still
