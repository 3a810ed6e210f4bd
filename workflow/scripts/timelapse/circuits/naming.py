"""From the names of nodes in a table back to the graph that they belong to.

Stage: circuits. Free of torch, because the figures read the same tables.
"""

import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from timelapse.circuits.graph import GraphShape

_NAME = re.compile(
    r"(input|logits|a(?P<layer>\d+)\.h(?P<head>\d+)(<(?P<port>[qkv])>)?|m(?P<mlp>\d+))"
)


def shape_of(names: Iterable[str]) -> GraphShape:
    """The graph that the names of all its sources and targets span.

    Names do not tell whether MLPs read the heads beside them; they are taken to do so.

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


def edge_numbers(edges: pa.Table, shape: GraphShape) -> Int[np.ndarray, "row"]:
    """The place of every row's edge in the order of `GraphShape.edges`.

    Args:
        edges: with the columns `source` and `target`, neither of them null.
        shape: the graph.

    Raises:
        ValueError: a row's edge is none of this graph.
    """
    widths = np.array([shape.n_upstream(target) for target in shape.targets])
    firsts = np.cumsum(widths) - widths
    source, sources = _codes(edges["source"], [node.name for node in shape.sources])
    target, targets = _codes(edges["target"], [node.name for node in shape.targets])
    known = (source >= 0) & (target >= 0)
    known &= source < np.where(known, widths[target], 0)
    if not known.all():
        row = int(known.argmin())
        edge = f"{sources[row].as_py()} -> {targets[row].as_py()}"
        raise ValueError(f"{edge} is not an edge of {shape}")
    return firsts[target] + source


def _codes(
    column: pa.ChunkedArray, names: list[str]
) -> tuple[Int[np.ndarray, "row"], pa.StringArray]:
    """The place of every row's name among `names`, -1 if it is not there; and the rows' names."""
    places = {name: place for place, name in enumerate(names)}
    strings = column.cast(pa.string()).combine_chunks()
    encoded = strings.dictionary_encode()
    found = [places.get(name, -1) for name in encoded.dictionary.to_pylist()]
    return np.array(found, dtype=np.int64)[encoded.indices.to_numpy()], strings
