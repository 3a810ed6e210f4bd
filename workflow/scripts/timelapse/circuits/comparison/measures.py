"""All measures of two circuits by name, and how alike one checkpoint is to itself.

Two circuits differ only if they differ by more than circuits of two random halves of one
checkpoint's prompts. A half has half the prompts, so halves differ by more than two full samples of
prompts would: the null is on the safe side for whoever claims a difference.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int

from timelapse.circuits.comparison import overlap
from timelapse.circuits.comparison.circuit_sets import Circuits, Counts, products, ratio
from timelapse.circuits.comparison.overlap import layer_change, parts
from timelapse.circuits.graph import GraphShape


def weight_share(a: Circuits, b: Circuits) -> Counts:
    """The share of the summed |score| of circuit b's edges that lies on edges of circuit a."""
    weight = np.where(b.kept, np.abs(b.scores), 0)
    return ratio(products(a.indicator, weight), weight.sum(-1)[..., None, :])


def weight_share_same_sign(a: Circuits, b: Circuits) -> Counts:
    """The part of `weight_share` on edges that help in both circuits, or in neither."""
    weight = np.where(b.kept, np.abs(b.scores), 0)
    same = products(a.indicator, weight) + products(a.signed, np.copysign(weight, b.scores))
    return ratio(same / 2, weight.sum(-1)[..., None, :])


def weight_share_chance(a: Circuits, b: Circuits) -> Counts:
    """The share expected if circuit a were as many edges drawn at random from all."""
    share = a.size[..., :, None] / a.kept.shape[-1]
    return np.broadcast_to(share, (*a.size.shape, b.kept.shape[-2]))


def relative_share(share: np.ndarray, chance: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Where a share lies between chance, 0, and what halves of the same prompts share, 1.

    NaN where halves share no more than chance: then the circuit is not known well enough.
    """
    span = null - chance
    return ratio(share - chance, np.where(span > 0, span, 0))


MeasuredPairs = dict[str, Float[np.ndarray, "*sample pair"]]
PairMeasure = Callable[[Circuits, Circuits], Counts]

OVERLAPS: Mapping[str, PairMeasure] = {
    "edge_jaccard": overlap.edge_jaccard,
    "edge_jaccard_corrected": overlap.edge_jaccard_corrected,
    "signed_edge_jaccard": overlap.signed_edge_jaccard,
    "signed_edge_jaccard_corrected": overlap.signed_edge_jaccard_corrected,
    "node_jaccard": overlap.node_jaccard,
    "score_spearman": overlap.score_spearman,
    "score_cosine": overlap.score_cosine,
    "edge_flips": overlap.edge_flips,
    "edge_flips_changed_node": overlap.edge_flips_changed_node,
    "edge_flips_same_nodes": overlap.edge_flips_same_nodes,
    "weight_share": weight_share,
    "weight_share_same_sign": weight_share_same_sign,
    "weight_share_chance": weight_share_chance,
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


def measures(a: Circuits, b: Circuits, pairs: Int[np.ndarray, "pair 2"]) -> MeasuredPairs:
    """Every measure of every pair of a circuit of `a` and a circuit of `b`."""
    before, after = pairs.T
    found: MeasuredPairs = {
        name: measure(a, b)[..., before, after].astype(np.float64)
        for name, measure in OVERLAPS.items()
    }
    change = layer_change(a, b, pairs)
    for number, part in enumerate(parts(a.shape)):
        found[f"{LAYER_CHANGE}:{part}"] = change[..., number].astype(np.float64)
    return found


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
