"""Circuits that are to be compared, many at once: their edges, nodes and scores as arrays.

The scores of all resamples of the prompts are too many for the memory: they are kept on disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from tempfile import TemporaryFile

import numpy as np
from jaxtyping import Bool, Float, Int

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.reachability import wiring
from timelapse.circuits.selection import choose

Counts = Float[np.ndarray, "*sample a b"]


@dataclass(frozen=True)
class Circuits:
    """Circuits of one graph, and the scores that they were chosen by.

    Attributes:
        shape: the graph.
        scores: of all edges, in the order of `GraphShape.edges`.
        kept: which edges are in the circuit; pruned.
    """

    shape: GraphShape
    scores: Float[np.ndarray, "*sample circuit edge"]
    kept: Bool[np.ndarray, "*sample circuit edge"]

    @classmethod
    def strongest(
        cls, scores: Float[np.ndarray, "*sample circuit edge"], shape: GraphShape, n: int
    ) -> "Circuits":
        """Those of size `n` by |score|, see `selection.choose`."""
        return cls(shape, scores, choose(scores, shape, n))

    @cached_property
    def size(self) -> Int[np.ndarray, "*sample circuit"]:
        """How many edges are kept."""
        return self.kept.sum(-1)

    @cached_property
    def indicator(self) -> Float[np.ndarray, "*sample circuit edge"]:
        """1 for kept edges, else 0: products of these count shared edges."""
        return self.kept.astype(np.float32)

    @cached_property
    def signed(self) -> Float[np.ndarray, "*sample circuit edge"]:
        """-1 for kept edges that help, 1 for kept edges that do not, else 0."""
        return np.where(self.scores < 0, -self.indicator, self.indicator)

    @cached_property
    def nodes(self) -> Bool[np.ndarray, "*sample circuit source"]:
        """Which sources are in the circuit."""
        return wiring(self.shape).nodes(self.kept)

    @cached_property
    def between_nodes(self) -> Float[np.ndarray, "*sample circuit edge"]:
        """1 for edges, kept or not, both of whose end nodes are in the circuit, else 0.

        A key or value that heads share is in it if one of those heads is; the logits always are.
        """
        graph = wiring(self.shape)
        between = np.empty(self.kept.shape, dtype=np.float32)
        for stage in graph.stages:
            ends = stage.needed(self.nodes[..., stage.readers])
            both = ends[..., :, None] & self.nodes[..., None, : stage.n_sources]
            stage.block(between)[...] = both
        return between

    @cached_property
    def unit_scores(self) -> Float[np.ndarray, "*sample circuit edge"]:
        """The scores of all edges, scaled to length 1; NaN if all are 0."""
        return _unit(self.scores)

    @cached_property
    def unit_ranks(self) -> Float[np.ndarray, "*sample circuit edge"]:
        """Their ranks minus the mean rank, scaled likewise; NaN if all are equal."""
        middle = np.float32((self.scores.shape[-1] - 1) / 2)
        return _unit(_ranks(self.scores) - middle)


def _unit(
    vectors: Float[np.ndarray, "*sample circuit edge"],
) -> Float[np.ndarray, "*sample circuit edge"]:
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, norm, out=np.full_like(vectors, np.nan), where=norm > 0)


def _ranks(
    values: Float[np.ndarray, "*sample circuit edge"],
) -> Float[np.ndarray, "*sample circuit edge"]:
    """Ranks from 0 on; equal values share the mean of theirs."""
    n = values.shape[-1]
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, -1)
    new = np.ones(values.shape, dtype=bool)
    np.not_equal(ordered[..., 1:], ordered[..., :-1], out=new[..., 1:])
    starts = np.flatnonzero(new)
    lengths = np.diff(starts, append=new.size)
    shared = (starts % n + (lengths - 1) / 2).astype(np.float32)
    ranks = np.empty(values.shape, dtype=np.float32)
    np.put_along_axis(ranks, order, np.repeat(shared, lengths).reshape(values.shape), -1)
    return ranks


def products(
    a: Float[np.ndarray, "*sample a edge"], b: Float[np.ndarray, "*sample b edge"]
) -> Counts:
    """Sums over the edges of every product of one of `a` and one of `b`."""
    return a @ np.swapaxes(b, -1, -2)


def ratio(above: np.ndarray | float, below: np.ndarray | float) -> np.ndarray:
    """The quotient in float64, NaN where it is not defined."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0)


Pairs = Int[np.ndarray, "pair 2"]


def pairs_within(n_steps: int) -> Pairs:
    """Of one task: every step with itself and with all later ones."""
    return np.stack(np.triu_indices(n_steps), axis=1)


def pairs_across(n_steps: int) -> Pairs:
    """Of two tasks: every step with itself, and the first step with every later one."""
    own = [(place, place) for place in range(n_steps)]
    return np.array([*own, *((0, place) for place in range(1, n_steps))])


def pairs_from_first(n_steps: int) -> Pairs:
    """Of a control, which has the first step alone: that with every step."""
    return np.array([(0, place) for place in range(n_steps)])


class ResampledScores:
    """Mean scores of the resamples at several steps, kept on disk.

    A graph of 30,000 edges has 25 MB of them a step. The file has no name and goes with the object.
    """

    def __init__(self, n_steps: int, n_resamples: int, n_edges: int) -> None:
        self.shape = (n_steps, n_resamples, n_edges)
        self._file = TemporaryFile()  # noqa: SIM115 - it lives as long as the object
        self._scores = np.memmap(self._file, np.float32, "w+", shape=self.shape)

    def put(self, place: int, scores: Float[np.ndarray, "sample edge"]) -> None:
        """Keep those of one step."""
        self._scores[place] = scores

    def part(self, start: int, stop: int) -> Float[np.ndarray, "sample step edge"]:
        """Those of some resamples at all steps."""
        return np.ascontiguousarray(np.swapaxes(self._scores[:, start:stop], 0, 1))


def slices(n: int, bytes_each: int, limit: int) -> Iterator[tuple[int, int]]:
    """Start and stop of parts of `n` resamples of at most `limit` bytes, but at least one each."""
    step = max(1, limit // bytes_each)
    for start in range(0, n, step):
        yield start, min(start + step, n)
