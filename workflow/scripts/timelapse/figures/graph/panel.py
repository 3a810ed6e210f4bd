"""One graph on axes: nodes that keep their places, and edges between them."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.text import Text

from timelapse.figures import style
from timelapse.figures.graph.edge_style import EdgeStyle
from timelapse.figures.graph.head_roles import short_role_words
from timelapse.figures.graph.layout import HALF_HEIGHT, HALF_WIDTH, EdgeCurves, GraphLayout

NAME_WIDE, ROLE_WIDE, ROLE_HIGH = 0.45, 0.5, 0.3
"""Inches that a head's box needs for its whole name, and for its role below that."""

_AIR = 1.6
"""Points by which the white seam of an edge is wider than itself."""

_NAME_UP, _ROLE_DOWN = 0.05, 0.085


class GraphPanel:
    """A graph whose edges and active nodes can be replaced.

    Attributes:
        edges: what is drawn, from the undermost to the topmost.
        changing: the artists that `show` updates.
    """

    def __init__(
        self, axes: Axes, curves: EdgeCurves, role_colors: Mapping[str, str], first: bool
    ) -> None:
        """
        Args:
            axes: where it is drawn; they get the layout's limits.
            curves: the curves of the layout.
            role_colors: the fill of a head that holds a role.
            first: whether it stands leftmost and names the layers.
        """
        self.edges: tuple[EdgeStyle, ...] = ()
        self._curves, self._role_colors = curves, role_colors
        self._layout = layout = curves.layout
        self._nodes, self._ports = layout.nodes(), layout.ports()
        wide, high = _size_of_box(axes, layout)
        self._words = wide >= ROLE_WIDE and high >= ROLE_HIGH
        self._prepare(axes, first)
        boxes = [layout.box(node) for node in self._nodes]
        axes.add_collection(
            PolyCollection(boxes, zorder=1, facecolors="#fafafa", edgecolors=style.FAINT),
            autolim=False,
        )
        self._lines = PathCollection([], facecolors="none", zorder=3, capstyle="butt")
        self._boxes = PolyCollection(boxes, zorder=4, linewidths=1.1)
        self._sockets = PolyCollection(
            [layout.socket(port) for port in self._ports], zorder=5, linewidths=0.6
        )
        for collection in (self._lines, self._boxes, self._sockets):
            axes.add_collection(collection, autolim=False)
        self._title = axes.set_title("", loc="left", size=style.TICK)
        self._faint: list[Text] = []
        self._names: list[Text] = []
        self._roles: list[Text] = []
        self._letters: list[Text] = []
        self._write(axes, narrow=bool(wide < NAME_WIDE))
        self._nothing = axes.text(
            0.5,
            0.5,
            "no path from input to logits\namong these edges",
            transform=axes.transAxes,
            zorder=7,
            bbox={"facecolor": "white", "edgecolor": style.FAINT, "pad": 8},
            ha="center",
            va="center",
        )
        self.changing: Sequence[Artist] = (
            self._title,
            self._lines,
            self._boxes,
            self._sockets,
            *self._names,
            *self._roles,
            *self._letters,
            self._nothing,
        )

    def _prepare(self, axes: Axes, first: bool) -> None:
        axes.set_xlim(*self._layout.across)
        axes.set_ylim(*self._layout.up)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        layers = range(self._layout.shape.n_layers)
        axes.set_yticks([layer + 1 for layer in layers], [f"layer {layer}" for layer in layers])
        axes.tick_params(length=0, labelleft=first, labelsize=style.SMALL, labelcolor=style.MUTED)

    def _write(self, axes: Axes, narrow: bool) -> None:
        """Names of nodes, in grey below the edges and in ink above them; roles; letters of ports.

        Args:
            axes: the panel's.
            narrow: whether the boxes of heads have no room for whole names.
        """
        centred: dict[str, Any] = {"ha": "center", "va": "center"}
        for node in self._nodes:
            x, y = self._layout.place(node)
            small = narrow and node.layer is not None
            name = f"{node.layer}.{node.head}" if small and node.head is not None else node.name
            size = style.SMALLEST if small else style.SMALL
            faint = axes.text(x, y, name, size=size, color=style.GHOST, zorder=2, **centred)
            self._faint.append(faint)
            self._names.append(axes.text(x, y, name, size=size, zorder=6, **centred))
            if self._words:
                below = axes.text(x, y - _ROLE_DOWN, "", size=style.SMALLEST, zorder=6, **centred)
                self._roles.append(below)
        for port in self._ports if self._words else ():
            x, y = self._layout.socket(port).mean(axis=0)
            letter = axes.text(x, y - 0.01, port.kind, size=style.SMALLEST, zorder=6, **centred)
            self._letters.append(letter)

    def show(
        self, title: str, edges: Sequence[EdgeStyle], active: Set[str], roles: Mapping[str, str]
    ) -> None:
        """Draw a circuit.

        Args:
            title: what it is.
            edges: from the undermost to the topmost.
            active: the names of the circuit's nodes.
            roles: the role of every head that holds one.
        """
        self.edges = tuple(edges)
        self._title.set_text(title)
        self._nothing.set_visible(not active)
        self._draw_edges()
        self._fill_boxes(active, roles)
        self._open_sockets()

    def _draw_edges(self) -> None:
        """Every edge lies on a seam or halo of its own, above all that was drawn before it."""
        paths = [self._curves.curve(edge.source, edge.target) for edge in self.edges]
        colors, widths, dashes = [], [], []
        for edge in self.edges:
            colors += [edge.halo or "white", edge.color]
            widths += [edge.width + (edge.halo_width if edge.halo else _AIR), edge.width]
            dashes += ["-", edge.dashes]
        self._lines.set_paths([path for path in paths for _ in range(2)])
        self._lines.set_edgecolor(colors)
        self._lines.set_linewidth(widths)
        self._lines.set_linestyle(dashes)

    def _open_sockets(self) -> None:
        """Every port that an edge enters shows, in grey if only edges out of the circuit do."""
        outline = dict.fromkeys(self._ports, "none")
        for edge in self.edges:
            if edge.target.head is not None:
                faint = edge.lost and outline[edge.target] != style.INK
                outline[edge.target] = style.FAINT if faint else style.INK
        fill = "white" if self._words else style.MUTED
        self._sockets.set_edgecolor(list(outline.values()))
        self._sockets.set_facecolor(
            [fill if color == style.INK else "none" for color in outline.values()]
        )
        for letter, color in zip(self._letters, outline.values(), strict=False):
            letter.set_visible(color == style.INK)

    def _fill_boxes(self, active: Set[str], roles: Mapping[str, str]) -> None:
        faces, outlines = [], []
        for node, faint, name in zip(self._nodes, self._faint, self._names, strict=True):
            on = node.name in active
            role = roles.get(node.name) if on else None
            fill = "white" if role is None else self._role_colors[role]
            faces.append(fill if on else "none")
            outlines.append(style.INK if on else "none")
            name.set_color(style.ink_on(fill))
            name.set_visible(on)
            faint.set_visible(not on)
        self._boxes.set_facecolor(faces)
        self._boxes.set_edgecolor(outlines)
        for node, name, below in zip(self._nodes, self._names, self._roles, strict=False):
            role = roles.get(node.name) if node.name in active else None
            x, y = self._layout.place(node)
            name.set_position((x, y + (0.0 if role is None else _NAME_UP)))
            below.set_text("" if role is None else short_role_words(role))
            below.set_color(name.get_color())


def _size_of_box(axes: Axes, layout: GraphLayout) -> tuple[float, float]:
    """Width and height of a head's box in inches."""
    box = axes.get_window_extent()
    across, up = np.ptp(layout.across), np.ptp(layout.up)
    wide, high = 2 * HALF_WIDTH * box.width / across, 2 * HALF_HEIGHT * box.height / up
    return wide / style.DPI, high / style.DPI
