"""The circuit: its strongest edges layer by layer, one panel for each corruption.

Stage: figures. Nodes keep their places and edges their scale over all frames; nodes outside the
circuit stay in sight as faint boxes.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from timelapse.figures.films.plots import Circuit
from timelapse.figures.graph.circuit_edges import in_words, read_scores, select
from timelapse.figures.graph.edge_style import (
    change_handles,
    sign_handles,
    strokes_of,
    width_handles,
)
from timelapse.figures.graph.head_roles import Held
from timelapse.figures.graph.page import GraphSheet


class CircuitDrawing:
    """An open circuit figure.

    Attributes:
        selection: the drawn edges.
        held: the roles of the heads.
    """

    def __init__(
        self,
        plot: Circuit,
        table: pa.Table,
        source: str | Path,
        extras: Mapping[str, pa.Table] | None = None,
    ) -> None:
        scores = read_scores(table, plot.method, source).of(plot.corruption, source)
        self.selection = select(scores, plot.edges)
        self.held = Held.of((extras or {}).get("head_roles"))
        self.steps = self.selection.steps
        self._chosen = plot.edges
        self._largest = self.selection.largest
        colors = self.held.shown(self.selection.lit_nodes())
        sheet = GraphSheet(self.selection.shape, len(self.selection.corruptions), colors)
        self.figure, self._panels = sheet.figure, sheet.panels
        since = f"since step {self.steps[0]}"
        sheet.explain(
            f"drawn: of the {plot.edges} strongest edges ({self.selection.method}) those on a path"
            " from input to logits · score: change of the logit difference (logits) when the edge"
            " is corrupted",
            [
                *sign_handles(),
                *width_handles(self._largest),
                *change_handles("kept", f"added {since}", f"lost {since}"),
            ],
        )

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        step = self.steps[index]
        for corruption, panel in zip(self.selection.corruptions, self._panels, strict=True):
            edges = self.selection.edges[step, corruption]
            lost = self.selection.lost[step, corruption]
            title = f"{in_words(corruption)}\n{len(edges)} of {self._chosen} edges"
            if index:
                added = sum(edge.change == "added" for edge in edges)
                title += f" · {added} added, {len(lost)} lost"
            panel.show(
                title,
                strokes_of(edges, lost, self._largest),
                self.selection.lit(edges),
                self.held.strongest(step),
            )
