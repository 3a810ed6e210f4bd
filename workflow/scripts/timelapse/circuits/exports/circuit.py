"""What is exported: the scores of one checkpoint, and the circuit chosen by them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from timelapse.circuits.graph import GraphShape, Source, Target
from timelapse.circuits.scored import ScoredEdges
from timelapse.circuits.selection import choose
from timelapse.circuits.wiring import wiring


@dataclass(frozen=True)
class Circuit:
    """A scored graph and the circuit in it.

    Attributes:
        shape: the graph.
        scores: pooled over the corruptions, in the order of `GraphShape.edges`; negative: it helps.
        by_corruption: the scores under each.
        kept: which edges are in the circuit.
    """

    shape: GraphShape
    scores: Float[np.ndarray, "edge"]
    by_corruption: Mapping[str, Float[np.ndarray, "edge"]]
    kept: Bool[np.ndarray, "edge"]

    @classmethod
    def strongest(cls, scored: ScoredEdges, step: int, method: str, n: int) -> "Circuit":
        """The circuit of size `n` by |pooled score|, see `selection.choose`.

        Raises:
            UserError: the tables lack the step or the method.
        """
        scores = scored.pooled(step, method)
        each = {name: scored.scores(step, name, method) for name in scored.corruptions}
        return cls(scored.shape, scores, each, choose(scores, scored.shape, n))

    @cached_property
    def nodes(self) -> tuple[Source | Target, ...]:
        """The nodes of the circuit; the logits are always there, the input if an edge is."""
        inside = wiring(self.shape).nodes(self.kept)
        sources = (node for node, used in zip(self.shape.sources, inside, strict=True) if used)
        return (*sources, Target("logits"))

    def edges(self) -> Iterator[tuple[int, Source, Target, tuple[Source | Target, ...]]]:
        """Number, ends and reading nodes of every edge of the graph.

        A head, MLP or the logits read by themselves; several heads may share a key or value.
        """
        for number, (source, target) in enumerate(self.shape.edges):
            yield number, source, target, self.shape.readers(target) or (target,)


def plain(number: np.float32) -> float:
    """The shortest decimal that is this number in single precision."""
    return float(str(np.float32(number)))
