"""The circuit: its strongest edges layer by layer, one panel for each corruption.

Nodes keep their places and edges their scale over all frames; nodes outside the circuit stay in
sight as faint boxes.
"""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import pyarrow as pa
from matplotlib.artist import Artist

from timelapse.circuits.graph import Source, Target
from timelapse.figures.graph.circuit_edges import (
    ShownCircuits,
    ShownEdge,
    corruption_words,
    nodes_of,
    read_scores,
    select,
)
from timelapse.figures.graph.edge_style import (
    change_handles,
    edge_styles,
    sign_handles,
    width_handles,
)
from timelapse.figures.graph.head_roles import HeadRoleLabels
from timelapse.figures.graph.page import GraphPage


class CircuitDrawing:
    """An open circuit figure; see `film.FilmDrawing`.

    Attributes:
        circuits: the drawn edges.
        labels: the roles of the heads.
        panels: one for each corruption.
    """

    def __init__(
        self,
        table: pa.Table,
        source: str | Path,
        *,
        score: str,
        edges: int = 30,
        method: str | None = None,
        corruption: str | None = None,
        head_roles: pa.Table | None = None,
    ) -> None:
        """
        Args:
            table: the edges of all steps.
            source: where they come from, for messages.
            score: what the score of an edge is, with its unit.
            edges: how many of the strongest edges are chosen before pruning.
            method: what scored the edges; the first in the table if None.
            corruption: the one that is drawn, or "pooled" for the mean over all; each in a panel
                of its own if None.
            head_roles: the roles of the heads; boxes stay white if None.

        Raises:
            UserError: there is no such method or corruption, or a model's edges are not all there.
        """
        scores = read_scores(table, method, source).under(corruption, source)
        self.circuits = select(scores, edges)
        self.labels = HeadRoleLabels.of(head_roles)
        self.steps = self.circuits.steps
        self._chosen = edges
        self._largest = self.circuits.largest
        colors = self.labels.colors_of(self.circuits.active_nodes())
        page = GraphPage(self.circuits.shape, len(self.circuits.corruptions), colors)
        self.figure, self.panels = page.figure, page.panels
        since = f"since step {self.steps[0]}"
        page.explain(
            f"drawn: of the {edges} strongest edges ({self.circuits.method}) those on a path"
            f" from input to logits · score: {score}",
            [
                *sign_handles(),
                *width_handles(self._largest),
                *change_handles("kept", f"added {since}", f"lost {since}"),
            ],
        )
        self.changing: Sequence[Artist] = [
            artist for panel in self.panels for artist in panel.changing
        ]

    def show(self, index: int) -> None:
        """Bring the panels to the step number `index` of `steps`."""
        step = self.steps[index]
        for corruption, panel in zip(self.circuits.corruptions, self.panels, strict=True):
            edges = self.circuits.edges[step, corruption]
            lost = self.circuits.lost[step, corruption]
            title = f"{corruption_words(corruption)}\n{len(edges)} of {self._chosen} edges"
            if index:
                added = sum(edge.change == "added" for edge in edges)
                title += f" · {added} added, {len(lost)} lost"
            panel.show(
                title,
                edge_styles(edges, lost, self._largest),
                nodes_of(edges),
                self.labels.strongest(step),
            )

    def document(self, index: int, about: Mapping[str, object]) -> dict[str, object]:
        """The circuits of the step number `index` of `steps` as node-link JSON.

        Args:
            index: of the step.
            about: further attributes of the graph.
        """
        return node_link_document(self.circuits, self.steps[index], about, self.labels)


def node_link_document(
    circuits: ShownCircuits, step: int, about: Mapping[str, object], labels: HeadRoleLabels
) -> dict[str, object]:
    """The circuits of a step as one directed multigraph, for `networkx.node_link_graph`.

    A key or value that several heads share gives a link to each of them in the circuit. What the
    first step's circuit has besides is listed among the attributes of the graph, as `lost`.

    Args:
        circuits: of all steps.
        step: one of its steps.
        about: further attributes of the graph.
        labels: which roles the heads hold.
    """
    by_corruption = {
        corruption: circuits.edges[step, corruption] for corruption in circuits.corruptions
    }
    active: set[str] = set().union(*map(nodes_of, by_corruption.values()))
    nodes: tuple[Source | Target, ...] = (*circuits.shape.sources, Target("logits"))
    roles = labels.at(step)
    return {
        "directed": True,
        "multigraph": True,
        "graph": {
            **about,
            "step": step,
            "first_step": circuits.steps[0],
            "method": circuits.method,
            "corruptions": list(circuits.corruptions),
            "lost": [
                {"target": edge.target.name, **_attributes(edge, step, corruption)}
                for corruption in circuits.corruptions
                for edge in circuits.lost[step, corruption]
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
            if node.name in active
        ],
        "edges": [
            {
                "target": reader,
                "key": f"{corruption}:{edge.target.name}",
                **_attributes(edge, step, corruption),
            }
            for corruption, edges in by_corruption.items()
            for edge in edges
            for reader in _readers(circuits, edge.target, nodes_of(edges))
        ],
    }


def _readers(circuits: ShownCircuits, target: Target, active: Set[str]) -> list[str]:
    """The nodes of a circuit that read a target: several heads where they share it."""
    if target.layer is None:
        return [target.name]
    return [reader.name for reader in circuits.shape.readers(target) if reader.name in active]


def _attributes(edge: ShownEdge, step: int, corruption: str) -> dict[str, object]:
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
