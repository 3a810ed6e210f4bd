"""Which edges make a circuit: the strongest, pruned to what leads from the input to the logits.

Stage: circuits. Free of torch, because the figures select the edges that they draw with it too.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

INPUT = "input"
LOGITS = "logits"
PORT = r"<[qkv]>$"


def strongest(edges: pa.Table, n: int) -> pa.Table:
    """The circuit of size `n`: the n edges of largest |score|, then pruned.

    An edge stays only while its source has a way in from the input and its target a way out to
    the logits; a head is one node, whichever of its q, k and v ports an edge enters.

    Args:
        edges: rows of the edges table for one step, one corruption and one method.
        n: how many edges are chosen before pruning; ties go to the name that sorts first, and
            scores that are not finite are never chosen.

    Returns:
        The surviving rows, the strongest first. Empty if no chosen path joins input and logits.
    """
    if n < 1:
        raise ValueError(f"a circuit needs at least one edge, not {n}")
    size = np.abs(edges["score"].to_numpy())
    finite = np.flatnonzero(np.isfinite(size))
    if len(finite) > n:
        bar = np.partition(size[finite], len(finite) - n)[len(finite) - n]
        finite = finite[size[finite] >= bar]
    candidates = edges.take(pa.array(finite)).append_column("size", pa.array(size[finite]))
    order = pc.sort_indices(
        _plain(candidates.select(["size", "source", "target"])),
        sort_keys=[("size", "descending"), ("source", "ascending"), ("target", "ascending")],
    )
    chosen = candidates.drop_columns("size").take(order[:n])
    return chosen.filter(pa.array(_connected(chosen)))


def nodes_of(targets: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The node that each edge target belongs to: a5.h2<q> -> a5.h2."""
    return pc.replace_substring_regex(targets.cast(pa.string()), pattern=PORT, replacement="")


def _connected(edges: pa.Table) -> Bool[np.ndarray, "edge"]:
    """Which edges lie on a path from the input to the logits that uses these edges only."""
    names = [
        *edges["source"].cast(pa.string()).to_pylist(),
        *nodes_of(edges["target"]).to_pylist(),
    ]
    nodes, codes = np.unique([INPUT, LOGITS, *names], return_inverse=True)
    begin, end = codes[:2]
    source: Int[np.ndarray, "edge"] = codes[2 : 2 + len(edges)]
    target: Int[np.ndarray, "edge"] = codes[2 + len(edges) :]
    keep = np.ones(len(edges), dtype=bool)
    while True:
        way_in = np.zeros(len(nodes), dtype=bool)
        way_in[target[keep]] = True
        way_in[begin] = True
        way_out = np.zeros(len(nodes), dtype=bool)
        way_out[source[keep]] = True
        way_out[end] = True
        still = keep & way_in[source] & way_out[target]
        if still.sum() == keep.sum():
            return keep
        keep = still


def _plain(table: pa.Table) -> pa.Table:
    """The same table without dictionary encoding, which sorts by code and not by name."""
    return pa.table(
        {
            name: column.cast(column.type.value_type)
            if pa.types.is_dictionary(column.type)
            else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )
