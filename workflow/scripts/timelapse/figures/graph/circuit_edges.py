"""The edges that a circuit's picture draws, step by step, and the same as JSON. Stage: figures."""

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
from timelapse.figures import style
from timelapse.figures.graph.head_roles import Held

Change = Literal["kept", "added", "lost"]

POOLED = "pooled"
"""What the mean of the scores over all corruptions is called."""


@dataclass(frozen=True)
class Edge:
    """An edge at one step; `score` estimates what corrupting it does to the logit difference.

    Attributes:
        source: the node that writes.
        target: the place that reads.
        score: in logits; below 0 the edge helps.
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
        return abs(self.score) > style.Z95 * self.std_error


@dataclass(frozen=True)
class Selection:
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
    edges: Mapping[tuple[int, str], tuple[Edge, ...]]
    lost: Mapping[tuple[int, str], tuple[Edge, ...]]

    @property
    def largest(self) -> float:
        """The largest |score| of all circuits; 1 if all are empty."""
        sizes = [abs(edge.score) for edges in self.edges.values() for edge in edges]
        return max(sizes, default=0.0) or 1.0

    def lit_nodes(self) -> Iterator[tuple[int, set[str]]]:
        """Every step with the nodes of its circuits."""
        for (step, _), edges in self.edges.items():
            yield step, self.lit(edges)

    def lit(self, edges: Sequence[Edge]) -> set[str]:
        """The names of the nodes that belong to a circuit."""
        return {edge.source.name for edge in edges} | ({"logits"} if edges else set())

    def document(self, step: int, about: Mapping[str, object], held: Held) -> dict[str, object]:
        """The circuits of a step as one node-link multigraph, which networkx reads.

        A key or value that several heads share gives a link to each of them in the circuit. What
        the first step's circuit has besides is listed among the attributes of the graph, as `lost`.

        Args:
            step: one of `steps`.
            about: further attributes of the graph.
            held: which roles the heads hold.
        """
        circuits = {corruption: self.edges[step, corruption] for corruption in self.corruptions}
        lit: set[str] = set().union(*(self.lit(edges) for edges in circuits.values()))
        nodes: tuple[Source | Target, ...] = (*self.shape.sources, Target("logits"))
        roles = held.at(step)
        return {
            "directed": True,
            "multigraph": True,
            "graph": {
                **about,
                "step": step,
                "first_step": self.steps[0],
                "method": self.method,
                "corruptions": list(self.corruptions),
                "lost": [
                    {"target": edge.target.name, **_attributes(edge, step, corruption)}
                    for corruption in self.corruptions
                    for edge in self.lost[step, corruption]
                ],
            },
            "nodes": [
                {
                    "id": node.name,
                    "kind": node.kind,
                    "layer": node.layer,
                    "head": node.head,
                    "role": next(iter(roles.get(node.name, ())), None),
                    "roles": roles.get(node.name, {}),
                }
                for node in nodes
                if node.name in lit
            ],
            "edges": [
                {
                    "target": reader,
                    "key": f"{corruption}:{edge.target.name}",
                    **_attributes(edge, step, corruption),
                }
                for corruption, edges in circuits.items()
                for edge in edges
                for reader in self._readers(edge.target, self.lit(edges))
            ],
        }

    def _readers(self, target: Target, lit: set[str]) -> list[str]:
        if target.layer is None:
            return [target.name]
        return [reader.name for reader in self.shape.readers(target) if reader.name in lit]


def _attributes(edge: Edge, step: int, corruption: str) -> dict[str, object]:
    return {
        "source": edge.source.name,
        "port": edge.target.kind if edge.target.head is not None else None,
        "score": edge.score,
        "std_error": edge.std_error,
        "clear": edge.clear,
        "change": edge.change,
        "score_at_first_step": edge.before,
        "step": step,
        "corruption": corruption,
    }


@dataclass(frozen=True)
class Scores:
    """The scores of one method as arrays.

    Attributes:
        shape: the graph of the model.
        method: what scored the edges.
        steps: ascending.
        corruptions: in the order of the table.
        score: in logits, in the order of `GraphShape.edges`.
        std_error: of the scores.
    """

    shape: GraphShape
    method: str
    steps: tuple[int, ...]
    corruptions: tuple[str, ...]
    score: Float[np.ndarray, "step corruption edge"]
    std_error: Float[np.ndarray, "step corruption edge"]

    def of(self, corruption: str | None, source: str | Path) -> "Scores":
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
        return Scores(self.shape, self.method, self.steps, (corruption,), *one)


def read_scores(table: pa.Table, method: str | None, source: str | Path) -> Scores:
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
    return Scores(scored.shape, chosen, scored.steps, scored.corruptions, score, std_error)


def select(scores: Scores, n: int) -> Selection:
    """Choose the circuit of size `n` of every step under every corruption.

    Raises:
        UserError: not one edge is asked for.
    """
    if n < 1:
        raise UserError(
            "config", "figures.circuit.edges", f"{n} is no number of edges", "Ask for one"
        )
    kept = choose(scores.score, scores.shape, n)
    edges, lost = {}, {}
    for number, corruption in enumerate(scores.corruptions):
        for index, step in enumerate(scores.steps):
            now, first = kept[index, number], kept[0, number]
            at = scores, index, number
            edges[step, corruption] = _edges(*at, {"kept": now & first, "added": now & ~first})
            lost[step, corruption] = _edges(*at, {"lost": first & ~now})
    return Selection(scores.shape, scores.steps, scores.corruptions, scores.method, edges, lost)


def in_words(corruption: str) -> str:
    """How the title of a graph names a corruption."""
    return "all corruptions pooled" if corruption == POOLED else f"corruption: {corruption}"


def _edges(
    scores: Scores, step: int, corruption: int, parts: Mapping[Change, Bool[np.ndarray, "edge"]]
) -> tuple[Edge, ...]:
    """The edges of some parts, the strongest first; those lost by what they were at first."""
    at = step, corruption
    score, error, before = scores.score[at], scores.std_error[at], scores.score[0, corruption]
    change = {
        number: name for name, part in parts.items() for number in np.flatnonzero(part).tolist()
    }
    found = [
        Edge(
            *scores.shape.edges[number],
            float(score[number]),
            float(error[number]),
            float(before[number]),
            name,
        )
        for number, name in change.items()
    ]
    return tuple(sorted(found, key=_strongest_first))


def _strongest_first(edge: Edge) -> tuple[float, str, str]:
    size = abs(edge.before if edge.change == "lost" else edge.score)
    return -size, edge.source.name, edge.target.name
