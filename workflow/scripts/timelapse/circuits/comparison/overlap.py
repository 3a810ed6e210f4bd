"""How much circuits overlap: the edges and nodes they share, edge flips, how alike scores are.

Every overlap takes circuits a and b of the same samples and returns [*sample a b], NaN where the
overlap is not defined: of two empty circuits, or of scores that are all equal.
"""

import numpy as np
from jaxtyping import Float, Int

from timelapse.circuits.comparison.circuit_sets import Circuits, Counts, products, ratio
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.reachability import wiring


def edge_jaccard(a: Circuits, b: Circuits) -> Counts:
    """Shared edges over the edges of either circuit."""
    return _jaccard(products(a.indicator, b.indicator), *_sizes(a, b))


def signed_edge_jaccard(a: Circuits, b: Circuits) -> Counts:
    """As `edge_jaccard`; an edge that helps in one circuit and not in the other counts as two."""
    return _jaccard(_same_sign(a, b), *_sizes(a, b))


def edge_jaccard_corrected(a: Circuits, b: Circuits) -> Counts:
    """(J - chance) / (1 - chance): 1 for the same circuit, 0 for what random edges share.

    Chance is the Jaccard index expected of two random sets of as many edges. Circuits are pruned
    to paths, which random sets are not: those of unrelated scores share slightly more.
    """
    size_a, size_b = _sizes(a, b)
    none = np.zeros(1)
    chance = chance_jaccard(size_a, none, size_b, none, a.kept.shape[-1])
    return ratio(edge_jaccard(a, b) - chance, 1 - chance)


def signed_edge_jaccard_corrected(a: Circuits, b: Circuits) -> Counts:
    """As `edge_jaccard_corrected`; random sets have as many edges that help, and that do not."""
    (help_a, hinder_a), (help_b, hinder_b) = (_by_sign(side) for side in (a, b))
    chance = chance_jaccard(
        help_a[..., :, None],
        hinder_a[..., :, None],
        help_b[..., None, :],
        hinder_b[..., None, :],
        a.kept.shape[-1],
    )
    return ratio(signed_edge_jaccard(a, b) - chance, 1 - chance)


def node_jaccard(a: Circuits, b: Circuits) -> Counts:
    """Shared heads and MLPs over those of either circuit.

    Input and logits are left out, since every circuit has them.
    """
    nodes_a, nodes_b = (side.nodes[..., 1:].astype(np.float32) for side in (a, b))
    return _jaccard(
        products(nodes_a, nodes_b), nodes_a.sum(-1)[..., :, None], nodes_b.sum(-1)[..., None, :]
    )


def score_spearman(a: Circuits, b: Circuits) -> Counts:
    """Spearman's rank correlation of the scores of all edges, whether kept or not."""
    return products(a.unit_ranks, b.unit_ranks)


def score_cosine(a: Circuits, b: Circuits) -> Counts:
    """The cosine between the scores of all edges, whether kept or not."""
    return products(a.unit_scores, b.unit_scores)


def _sizes(a: Circuits, b: Circuits) -> tuple[np.ndarray, np.ndarray]:
    return a.size[..., :, None], b.size[..., None, :]


def _same_sign(a: Circuits, b: Circuits) -> Counts:
    return (products(a.indicator, b.indicator) + products(a.signed, b.signed)) / 2


def _by_sign(circuits: Circuits) -> tuple[np.ndarray, np.ndarray]:
    """How many kept edges help, and how many do not."""
    help_ = (circuits.signed < 0).sum(-1)
    return help_, circuits.size - help_


def _jaccard(shared: Counts, size_a: np.ndarray, size_b: np.ndarray) -> Counts:
    return ratio(shared, size_a + size_b - shared)


def chance_jaccard(
    help_a: np.ndarray,
    hinder_a: np.ndarray,
    help_b: np.ndarray,
    hinder_b: np.ndarray,
    n_edges: int,
) -> np.ndarray:
    """The Jaccard index expected of two random sets of edges with signs.

    Each set is drawn without replacement from all edges, so many of each sign; an element is an
    edge with its sign. For sets without signs give all elements the same. The number M of shared
    elements is a sum of two hypergeometric counts, whose mean, variances and covariance are exact;
    the mean of J = M / (s - M), s the sum of the sizes, is taken to second order in M. For circuits
    of ten edges and more that is right to about 1e-3.

    Args:
        help_a: numbers of elements of the one sign in the first set; any shapes that broadcast.
        hinder_a: of the other sign.
        help_b: likewise in the second set.
        hinder_b: of the other sign.
        n_edges: how many edges there are to draw from.
    """
    sizes = help_a + hinder_a + help_b + hinder_b
    pairs = (help_a, help_b), (hinder_a, hinder_b)
    mean = sum(a * b for a, b in pairs) / n_edges
    spread = sum(a * b * (n_edges - a) * (n_edges - b) for a, b in pairs)
    spread = spread + 2.0 * help_a * hinder_a * help_b * hinder_b
    variance = spread / (n_edges**2 * max(n_edges - 1, 1))
    rest = sizes - mean
    return np.asarray(ratio(mean, rest) + ratio(sizes * variance, rest**3))


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
