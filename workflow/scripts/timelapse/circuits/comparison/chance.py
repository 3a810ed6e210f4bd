"""What overlap is expected of circuits that have nothing to do with each other."""

import numpy as np

from timelapse.circuits.comparison.compared import ratio


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
    return ratio(mean, rest) + ratio(sizes * variance, rest**3)
