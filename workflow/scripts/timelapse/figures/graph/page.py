"""The page that graphs are drawn on: its size, its panels beside each other, its legends."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.patches import Patch

from timelapse.circuits.graph import GraphShape
from timelapse.figures import style
from timelapse.figures.graph.head_roles import role_words
from timelapse.figures.graph.layout import EdgeCurves, GraphLayout
from timelapse.figures.graph.panel import GraphPanel

WIDTH, LEFT, GAP, FLOOR, OVER = 14.0, 0.65, 0.1, 1.1, 0.55
"""Inches: the least width, left of the panels, between, below and above them."""

NARROWEST, BROADEST = 0.38, 1.6
"""Inches from one head to the next."""


class GraphPage:
    """An empty page.

    Attributes:
        figure: the whole.
        panels: from left to right.
    """

    def __init__(self, shape: GraphShape, n_panels: int, roles: Mapping[str, str]) -> None:
        """
        Args:
            shape: the graph of the model.
            n_panels: how many graphs stand beside each other.
            roles: the colour of every role that a head stands out by.
        """
        layout = GraphLayout(shape)
        across, up = np.ptp(layout.across), np.ptp(layout.up)
        around = LEFT + style.MARGIN + GAP * (n_panels - 1)
        column = np.clip((WIDTH - around) / n_panels / across, NARROWEST, BROADEST)
        row = np.clip(8.0 / up, 0.6, 1.2)
        wide, tall = across * column, up * row
        width = max(n_panels * wide + around, WIDTH)
        self._height = FLOOR + tall + OVER + style.HEADER
        self._roles = roles
        self.figure = style.new_figure(width, self._height)
        left = LEFT + (width - n_panels * wide - around) / 2
        curves = EdgeCurves(layout)
        self.panels = [
            GraphPanel(
                style.add_axes(self.figure, left + number * (wide + GAP), FLOOR, wide, tall),
                curves,
                self._roles,
                first=number == 0,
            )
            for number in range(n_panels)
        ]

    def explain(self, words: str, edges: Sequence[Artist]) -> None:
        """Write below the panels what is drawn, what edges look like, and what fills stand for."""
        width = self.figure.get_size_inches()[0]
        text = self.figure.text(
            0.5, 0.92 / self._height, words, size=style.SMALL, ha="center", va="center"
        )
        style.fit(text, width - 2 * style.MARGIN)
        self._legend(edges, 0.5)
        heads = [
            Patch(facecolor=color, edgecolor=style.INK, linewidth=0.6, label=role_words(role))
            for role, color in self._roles.items()
        ]
        before = [_words("role of a head:")] if heads else []
        ports = _words("small boxes below a head: its q, k and v, from left to right")
        self._legend([*before, *heads, ports], 0.15)

    def _legend(self, handles: Sequence[Artist], up: float) -> None:
        self.figure.add_artist(
            self.figure.legend(
                handles=handles,
                loc="lower center",
                bbox_to_anchor=(0.5, up / self._height),
                ncols=len(handles),
                fontsize=style.SMALL,
                handlelength=1.8,
                columnspacing=1.2,
                borderaxespad=0.0,
                borderpad=0.0,
            )
        )


def _words(text: str) -> Patch:
    """An entry of a legend that is nothing but words."""
    return Patch(facecolor="none", edgecolor="none", label=text)
