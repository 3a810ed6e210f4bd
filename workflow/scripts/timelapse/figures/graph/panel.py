"""One graph on axes: nodes that keep their places, and strokes between them. Stage: figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.text import Text

from timelapse.circuits.graph import Source, Target
from timelapse.figures import style
from timelapse.figures.graph.head_roles import in_short
from timelapse.figures.graph.layout import HALF_HEIGHT, HALF_WIDTH, Layout, Routes

NAME_WIDE, ROLE_WIDE, ROLE_HIGH = 0.45, 0.5, 0.3
"""Inches that a head's box needs for its whole name, and for its role below that."""

_AIR = 1.6
"""Points by which the white seam of a stroke is wider than itself."""

_NAME_UP, _ROLE_DOWN = 0.05, 0.085


@dataclass(frozen=True)
class Stroke:
    """An edge as it is drawn.

    Attributes:
        source: where it begins.
        target: where it ends.
        color: of the line.
        width: of the line, in points.
        dashes: as matplotlib names them.
        ghost: whether it is no part of the circuit, and only a reminder.
        halo: the colour of a band beneath it; none if None.
        halo_width: by how much the band is wider than the line, in points.
    """

    source: Source
    target: Target
    color: str
    width: float
    dashes: style.Dashes = "-"
    ghost: bool = False
    halo: str | None = None
    halo_width: float = 5.0


class Panel:
    """A graph whose strokes and lit nodes can be replaced.

    Attributes:
        strokes: what is drawn, from the undermost to the topmost.
    """

    def __init__(
        self, axes: Axes, routes: Routes, role_colors: Mapping[str, str], first: bool
    ) -> None:
        """
        Args:
            axes: where it is drawn; they get the layout's limits.
            routes: the curves of the layout.
            role_colors: the fill of a head that holds a role.
            first: whether it stands leftmost and names the layers.
        """
        self.strokes: tuple[Stroke, ...] = ()
        self._routes, self._role_colors = routes, role_colors
        self._layout = layout = routes.layout
        shape = layout.shape
        self._nodes = layout.nodes()
        wide, high = _size_of_box(axes, layout)
        self._words = wide >= ROLE_WIDE and high >= ROLE_HIGH
        axes.set_xlim(*layout.across)
        axes.set_ylim(*layout.up)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks(
            range(1, shape.n_layers + 1), [f"layer {layer}" for layer in range(shape.n_layers)]
        )
        axes.tick_params(length=0, labelleft=first, labelsize=style.SMALL, labelcolor=style.MUTED)
        self._title = axes.set_title("", loc="left", size=style.TICK)
        boxes = [layout.box(node) for node in self._nodes]
        axes.add_collection(
            PolyCollection(boxes, zorder=1, facecolors="#fafafa", edgecolors=style.FAINT),
            autolim=False,
        )
        self._edges = PathCollection([], facecolors="none", zorder=3, capstyle="butt")
        self._lit = PolyCollection(boxes, zorder=4, linewidths=1.1)
        self._ports = layout.ports()
        self._sockets = PolyCollection(
            [layout.socket(port) for port in self._ports], zorder=5, linewidths=0.6
        )
        for collection in (self._edges, self._lit, self._sockets):
            axes.add_collection(collection, autolim=False)
        self._names: list[Text] = []
        self._roles: list[Text] = []
        self._letters: list[Text] = []
        centred: dict[str, Any] = {"ha": "center", "va": "center"}
        for node in self._nodes:
            x, y = layout.place(node)
            narrow = wide < NAME_WIDE and node.layer is not None
            name = f"{node.layer}.{node.head}" if narrow and node.head is not None else node.name
            size = style.SMALLEST if narrow else style.SMALL
            self._names.append(axes.text(x, y, name, size=size, **centred))
            if self._words:
                below = axes.text(x, y - _ROLE_DOWN, "", size=style.SMALLEST, zorder=6, **centred)
                self._roles.append(below)
        for port in self._ports:
            if self._words:
                x, y = layout.socket(port).mean(axis=0)
                letter = axes.text(x, y - 0.01, port.kind, size=style.SMALLEST, zorder=6, **centred)
                self._letters.append(letter)
        self._nothing = axes.text(
            0.5,
            0.5,
            "no path from input to logits\namong these edges",
            transform=axes.transAxes,
            zorder=7,
            bbox={"facecolor": "white", "edgecolor": style.FAINT, "pad": 8},
            **centred,
        )

    def show(
        self,
        title: str,
        strokes: Sequence[Stroke],
        lit: set[str],
        roles: Mapping[str, str],
    ) -> None:
        """Draw a circuit.

        Args:
            title: what it is.
            strokes: edges, from the undermost to the topmost.
            lit: the names of the circuit's nodes.
            roles: the role of every head that holds one.
        """
        self.strokes = tuple(strokes)
        self._title.set_text(title)
        self._nothing.set_visible(not lit)
        self._draw_strokes()
        self._fill_boxes(lit, roles)
        self._open_sockets()

    def _draw_strokes(self) -> None:
        """Every stroke lies on a seam or halo of its own, above all that was drawn before it."""
        curves = [self._routes.curve(stroke.source, stroke.target) for stroke in self.strokes]
        colors, widths, dashes = [], [], []
        for stroke in self.strokes:
            colors += [stroke.halo or "white", stroke.color]
            beneath = stroke.halo_width if stroke.halo else _AIR
            widths += [stroke.width + beneath, stroke.width]
            dashes += ["-", stroke.dashes]
        self._edges.set_paths([curve for curve in curves for _ in range(2)])
        self._edges.set_edgecolor(colors)
        self._edges.set_linewidth(widths)
        self._edges.set_linestyle(dashes)

    def _open_sockets(self) -> None:
        """Every port that a stroke enters shows, in grey if only strokes out of the circuit do."""
        outline = dict.fromkeys(self._ports, "none")
        for stroke in self.strokes:
            if stroke.target.head is not None:
                ghost = stroke.ghost and outline[stroke.target] != style.INK
                outline[stroke.target] = style.FAINT if ghost else style.INK
        fill = "white" if self._words else style.MUTED
        self._sockets.set_edgecolor(list(outline.values()))
        self._sockets.set_facecolor(
            [fill if color == style.INK else "none" for color in outline.values()]
        )
        for letter, color in zip(self._letters, outline.values(), strict=False):
            letter.set_visible(color == style.INK)

    def _fill_boxes(self, lit: set[str], roles: Mapping[str, str]) -> None:
        faces, outlines = [], []
        for node, name in zip(self._nodes, self._names, strict=True):
            on = node.name in lit
            role = roles.get(node.name) if on else None
            fill = "white" if role is None else self._role_colors[role]
            faces.append(fill if on else "none")
            outlines.append(style.INK if on else "none")
            name.set_color(style.ink_on(fill) if on else style.GHOST)
            name.set_zorder(6 if on else 2)
        self._lit.set_facecolor(faces)
        self._lit.set_edgecolor(outlines)
        for node, name, below in zip(self._nodes, self._names, self._roles, strict=False):
            role = roles.get(node.name) if node.name in lit else None
            x, y = self._layout.place(node)
            name.set_position((x, y + (0.0 if role is None else _NAME_UP)))
            below.set_text("" if role is None else in_short(role))
            below.set_color(name.get_color())


def _size_of_box(axes: Axes, layout: Layout) -> tuple[float, float]:
    """Width and height of a head's box in inches."""
    box = axes.get_window_extent()
    across, up = np.ptp(layout.across), np.ptp(layout.up)
    wide, high = 2 * HALF_WIDTH * box.width / across, 2 * HALF_HEIGHT * box.height / up
    return wide / style.DPI, high / style.DPI
