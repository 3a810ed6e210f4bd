"""Sizes of circuits: those that are evaluated, how wide edges are, areas over them.

Stage: circuits. Free of torch.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.wiring import wiring

FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of all edges at which faithfulness is evaluated (Mueller et al., "MIB: A Mechanistic
Interpretability Benchmark", 2025, section 3)."""


def sizes_at(fractions: Sequence[float], n_edges: int) -> list[int]:
    """How many edges each fraction is: rounded, and at least one."""
    return [max(1, round(fraction * n_edges)) for fraction in fractions]


def widths(shape: GraphShape, d_model: int, d_head: int) -> Float[np.ndarray, "edge"]:
    """How much every edge can carry for a position, as a share of the residual stream's width.

    A head writes `d_head` numbers and reads as many at each of its ports; all other ends are as
    wide as the stream. An edge is as wide as the narrower of its ends.
    """
    graph = wiring(shape)
    written = np.array([d_head if node.kind == "head" else d_model for node in shape.sources])
    read = np.array([d_model if port.head is None else d_head for port in shape.targets])
    return np.minimum(written[graph.source], read[graph.target]) / d_model


def area(
    fractions: Sequence[float], values: Float[np.ndarray, "*shape fraction"]
) -> Float[np.ndarray, "*shape"]:
    """The area under a curve over the fractions of edges: trapezoids, on a linear axis.

    As in the MIB benchmark, whose curves also begin at the smallest fraction and not at nought.
    """
    return np.trapezoid(values, fractions, axis=-1)
