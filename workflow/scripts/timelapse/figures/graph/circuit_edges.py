"""The edges that a circuit's picture draws, step by step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from timelapse.circuits.graph import GraphShape, Source, Target
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.circuits.selection import choose
from timelapse.errors import UserError
from timelapse.stats import Z95

Change = Literal["kept", "added", "lost"]

POOLED = "pooled"
"""What the mean of the scores over all corruptions is called."""


@dataclass(frozen=True)
class ShownEdge:
    """An edge at one step; `score` estimates what corrupting it does to the metric.

    Attributes:
        source: the node that writes.
        target: the place that reads.
        score: in the unit of the metric; below 0 the edge helps.
        std_error: of the score.
        before: the score at the first step.
        change: whether the circuit of the first step has it (kept), the one of this step alone
            (added), or the one of the first step alone (lost).
    """

    source: Source
    target: Target
    score: float
    std_error: float
    before: float
    change: Change

    @property
    def clear(self) -> bool:
        """Whether the 95 % interval of the score leaves out 0."""
        return abs(self.score) > Z95 * self.std_error


@dataclass(frozen=True)
class ShownCircuits:
    """The circuits of every step under every corruption.

    Attributes:
        shape: the graph of the model.
        steps: ascending.
        corruptions: in the order of the table.
        method: what scored the edges.
        edges: the circuit of each step and corruption, the strongest first.
        lost: the edges of the first step's circuit that it lacks, those that were strongest first.
    """

    shape: GraphShape
    steps: tuple[int, ...]
    corruptions: tuple[str, ...]
    method: str
    edges: Mapping[tuple[int, str], tuple[ShownEdge, ...]]
    lost: Mapping[tuple[int, str], tuple[ShownEdge, ...]]

    @property
    def largest(self) -> float:
        """The largest |score| of all circuits; 1 if all are empty."""
        sizes = [abs(edge.score) for edges in self.edges.values() for edge in edges]
        return max(sizes, default=0.0) or 1.0

    def active_nodes(self) -> Iterator[tuple[int, set[str]]]:
        """Every step, once for each corruption, with the names of the nodes of its circuit."""
        for (step, _), edges in self.edges.items():
            yield step, nodes_of(edges)


def nodes_of(edges: Sequence[ShownEdge]) -> set[str]:
    """The names of the nodes that belong to a circuit."""
    return {edge.source.name for edge in edges} | ({"logits"} if edges else set())


@dataclass(frozen=True)
class EdgeScores:
    """The scores of one method as arrays.

    Attributes:
        shape: the graph of the model.
        method: what scored the edges.
        steps: ascending.
        corruptions: in the order of the table.
        score: in the unit of the metric, in the order of `GraphShape.edges`.
        std_error: of the scores.
    """

    shape: GraphShape
    method: str
    steps: tuple[int, ...]
    corruptions: tuple[str, ...]
    score: Float[np.ndarray, "step corruption edge"]
    std_error: Float[np.ndarray, "step corruption edge"]

    def under(self, corruption: str | None, source: str | Path) -> "EdgeScores":
        """These scores under one corruption, or pooled over all; all of them if None.

        Errors under different corruptions are of the same prompts: the mean of the errors is an
        upper bound for the error of the mean.

        Raises:
            UserError: there is no such corruption.
        """
        if corruption is None:
            return self
        if corruption == POOLED:
            score, error = self.score.mean(axis=1), self.std_error.mean(axis=1)
        elif corruption in self.corruptions:
            at = self.corruptions.index(corruption)
            score, error = self.score[:, at], self.std_error[:, at]
        else:
            names = ", ".join((POOLED, *self.corruptions))
            raise UserError(
                source, "corruption", f"no edges under {corruption}", f"Choose among {names}"
            )
        one = score[:, None], error[:, None]
        return EdgeScores(self.shape, self.method, self.steps, (corruption,), *one)


def read_scores(table: pa.Table, method: str | None, source: str | Path) -> EdgeScores:
    """The scores of one method at all steps, under all corruptions.

    Args:
        table: the edges table of all steps.
        method: which method's scores; the first in the table if None.
        source: where the table comes from, for messages.

    Raises:
        UserError: the method is not there, or the table is not one of all edges of a model.
    """
    scored = ScoredEdges.of(table, Path(source))
    if method is not None and method not in scored.methods:
        names = ", ".join(scored.methods)
        raise UserError(source, "method", f"no edges of method {method}", f"Choose among {names}")
    chosen = method or scored.methods[0]
    keys = [(step, corruption) for step in scored.steps for corruption in scored.corruptions]
    score, std_error = (
        np.stack([values(*key, chosen) for key in keys]).reshape(
            len(scored.steps), len(scored.corruptions), -1
        )
        for values in (scored.scores, scored.std_errors)
    )
    return EdgeScores(scored.shape, chosen, scored.steps, scored.corruptions, score, std_error)


def select(scores: EdgeScores, n: int) -> ShownCircuits:
    """Choose the circuit of size `n`, at least 1, of every step under every corruption."""
    kept = choose(scores.score, scores.shape, n)
    edges, lost = {}, {}
    for number, corruption in enumerate(scores.corruptions):
        for index, step in enumerate(scores.steps):
            now, first = kept[index, number], kept[0, number]
            at = scores, index, number
            edges[step, corruption] = _edges(*at, {"kept": now & first, "added": now & ~first})
            lost[step, corruption] = _edges(*at, {"lost": first & ~now})
    return ShownCircuits(scores.shape, scores.steps, scores.corruptions, scores.method, edges, lost)


def corruption_words(corruption: str) -> str:
    """How the title of a graph names a corruption."""
    return "all corruptions pooled" if corruption == POOLED else f"corruption: {corruption}"


def _edges(
    scores: EdgeScores,
    step: int,
    corruption: int,
    parts: Mapping[Change, Bool[np.ndarray, " edge"]],
) -> tuple[ShownEdge, ...]:
    """The edges of some parts, the strongest first; those lost by what they were at first."""
    at = step, corruption
    score, error, before = scores.score[at], scores.std_error[at], scores.score[0, corruption]
    change = {
        number: name for name, part in parts.items() for number in np.flatnonzero(part).tolist()
    }
    found = [
        ShownEdge(
            *scores.shape.edges[number],
            float(score[number]),
            float(error[number]),
            float(before[number]),
            name,
        )
        for number, name in change.items()
    ]
    return tuple(sorted(found, key=_strongest_first))


def _strongest_first(edge: ShownEdge) -> tuple[float, str, str]:
    size = abs(edge.before if edge.change == "lost" else edge.score)
    return -size, edge.source.name, edge.target.name
