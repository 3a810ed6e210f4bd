"""All measures that compare two circuits by their scores, by name."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int

from timelapse.circuits.comparison import flips, overlap, shares
from timelapse.circuits.comparison.compared import Circuits, Counts
from timelapse.circuits.comparison.layers import layer_change, parts

Measured = dict[str, Float[np.ndarray, "*sample pair"]]
Measure = Callable[[Circuits, Circuits], Counts]

OVERLAPS: Mapping[str, Measure] = {
    "edge_jaccard": overlap.edge_jaccard,
    "edge_jaccard_corrected": overlap.edge_jaccard_corrected,
    "signed_edge_jaccard": overlap.signed_edge_jaccard,
    "signed_edge_jaccard_corrected": overlap.signed_edge_jaccard_corrected,
    "node_jaccard": overlap.node_jaccard,
    "score_spearman": overlap.score_spearman,
    "score_cosine": overlap.score_cosine,
    "edge_flips": flips.edge_flips,
    "edge_flips_changed_node": flips.edge_flips_changed_node,
    "edge_flips_same_nodes": flips.edge_flips_same_nodes,
    "weight_share": shares.weight_share,
    "weight_share_same_sign": shares.weight_share_same_sign,
    "weight_share_chance": shares.weight_share_chance,
}
RELATIVE = "weight_share_relative"
LAYER_CHANGE = "layer_change"

_CORRELATION = -1.0, 1.0
_SHARE = 0.0, 1.0
_AMOUNT = 0.0, np.inf
_BOUNDS = {
    "edge_jaccard_corrected": (-np.inf, 1.0),
    "signed_edge_jaccard_corrected": (-np.inf, 1.0),
    "score_spearman": _CORRELATION,
    "score_cosine": _CORRELATION,
    "edge_flips": _AMOUNT,
    "edge_flips_changed_node": _AMOUNT,
    "edge_flips_same_nodes": _AMOUNT,
    RELATIVE: (-np.inf, np.inf),
}


def bounds(measure: str) -> tuple[float, float]:
    """The values that a measure can take."""
    return _AMOUNT if measure.startswith(LAYER_CHANGE) else _BOUNDS.get(measure, _SHARE)


def measures(a: Circuits, b: Circuits, pairs: Int[np.ndarray, "pair 2"]) -> Measured:
    """Every measure of every pair of a circuit of `a` and a circuit of `b`."""
    before, after = pairs.T
    found: Measured = {
        name: measure(a, b)[..., before, after].astype(np.float64)
        for name, measure in OVERLAPS.items()
    }
    change = layer_change(a, b, pairs)
    for number, part in enumerate(parts(a.shape)):
        found[f"{LAYER_CHANGE}:{part}"] = change[..., number].astype(np.float64)
    return found
