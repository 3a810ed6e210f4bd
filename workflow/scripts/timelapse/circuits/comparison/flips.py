"""Edges that are in one circuit and not in the other: does a node come or go with them?"""

from timelapse.circuits.comparison.compared import Circuits, Counts, products


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
