"""The circuit: its strongest edges layer by layer, one panel for each corruption.

Nodes keep their places and edges their scale over all frames; nodes outside the circuit stay in
sight as faint boxes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from matplotlib.artist import Artist

from timelapse.figures.graph.circuit_edges import (
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
from timelapse.figures.graph.node_link import node_link_document
from timelapse.figures.graph.page import GraphPage


class CircuitDrawing:
    """An open circuit figure; see `axes.FilmDrawing`.

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
