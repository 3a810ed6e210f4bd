"""The circuit: its strongest edges layer by layer, one panel for each corruption.

Stage: figures. Nodes keep their places and edges their scale over all frames; nodes outside the
circuit stay in sight as faint boxes.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Patch

from timelapse.figures import style
from timelapse.figures.edges import Edge, select
from timelapse.figures.layout import Layout, Node
from timelapse.figures.plots import Circuit
from timelapse.figures.routes import Routes

PORTS = {"q": style.GREEN, "k": style.PURPLE, "v": style.YELLOW}
WIDEST = 6.0
THINNEST = 0.7


class CircuitDrawing:
    """An open circuit figure.

    Attributes:
        selection: the drawn edges.
    """

    def __init__(self, plot: Circuit, table: pa.Table, source: str | Path) -> None:
        self.selection = select(plot, table, source)
        self.steps = self.selection.steps
        self._chosen = plot.edges
        self._largest = self.selection.largest
        shape, n_panels = self.selection.shape, len(self.selection.corruptions)
        width, height = 14.0, min(10.0, 4.0 + 0.5 * (shape.n_layers + 2))
        self.figure = style.new_figure(width, height)
        gap, floor, left = 0.2, 0.8, 0.75
        wide = (width - left - style.MARGIN - gap * (n_panels - 1)) / n_panels
        tall = height - floor - style.HEADER - 0.35
        self._panels = [
            Panel(
                style.add_axes(self.figure, left + number * (wide + gap), floor, wide, tall),
                Layout(shape),
                first=number == 0,
            )
            for number in range(n_panels)
        ]
        self._legend()

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        for corruption, panel in zip(self.selection.corruptions, self._panels, strict=True):
            edges = self.selection.edges[self.steps[index], corruption]
            title = f"corruption: {corruption} · {len(edges)} of {self._chosen} edges"
            panel.show(title, edges, self.selection.lit(edges), self._largest)

    def _legend(self) -> None:
        top = self._largest
        lines = [
            style.line_handle("helps (score < 0)", style.BLUE, 3),
            style.line_handle("hurts (score > 0)", style.ORANGE, 3),
            style.line_handle("95 % interval includes 0", style.INK, 1.5, "--"),
            *(
                style.line_handle(f"|score| {part * top:.2g}", style.MUTED, _width(part))
                for part in (0.1, 0.5, 1.0)
            ),
            *(
                Patch(facecolor=color, edgecolor=style.INK, linewidth=0.6, label=f"into {port}")
                for port, color in PORTS.items()
            ),
        ]
        legend = self.figure.legend(
            handles=lines,
            loc="lower center",
            ncols=len(lines),
            fontsize=style.SMALL,
            handlelength=1.8,
            columnspacing=1.2,
            borderaxespad=0.2,
        )
        legend.set_title(
            f"drawn: of the {self._chosen} strongest edges those on a path from input to logits"
            " · score: change of the logit difference (logits) when the edge is corrupted",
            FontProperties(size=style.SMALL),
        )


class Panel:
    """The graph under one corruption."""

    def __init__(self, axes: Axes, layout: Layout, first: bool) -> None:
        self._routes = Routes(layout)
        nodes = layout.nodes()
        shape = layout.shape
        self._order = [node.name for node in nodes]
        axes.set_xlim(*layout.across)
        axes.set_ylim(*layout.up)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks(
            range(1, shape.n_layers + 1), [f"layer {layer}" for layer in range(shape.n_layers)]
        )
        axes.tick_params(length=0, labelleft=first, labelsize=style.SMALL, labelcolor=style.MUTED)
        self._title = axes.set_title("", loc="left", size=style.TICK)
        boxes = [layout.box(node) for node in nodes]
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
        small = shape.n_heads > 6
        self._labels = [
            axes.text(
                *layout.place(node),
                _short(node) if small else node.name,
                ha="center",
                va="center",
                size=style.SMALLEST if small and node.layer is not None else style.SMALL,
            )
            for node in nodes
        ]
        self._nothing = axes.text(
            0.5,
            0.5,
            "no path from input to logits\namong these edges",
            transform=axes.transAxes,
            ha="center",
            va="center",
            zorder=7,
            bbox={"facecolor": "white", "edgecolor": style.FAINT, "pad": 8},
        )

    def show(self, title: str, edges: Sequence[Edge], nodes: set[str], largest: float) -> None:
        """Draw these edges, on a scale that ends at `largest`, and light up these nodes."""
        self._title.set_text(title)
        self._nothing.set_visible(not edges)
        self._edges.set_paths([self._routes.curve(edge.source, edge.target) for edge in edges])
        self._edges.set_edgecolor(
            [style.BLUE if edge.score < 0 else style.ORANGE for edge in edges]
        )
        self._edges.set_linewidth([_width(abs(edge.score) / largest) for edge in edges])
        self._edges.set_linestyle(["-" if edge.clear else "--" for edge in edges])
        lit = [name in nodes for name in self._order]
        self._lit.set_facecolor(["white" if on else "none" for on in lit])
        self._lit.set_edgecolor([style.INK if on else "none" for on in lit])
        for label, on in zip(self._labels, lit, strict=True):
            label.set_color(style.INK if on else style.GHOST)
            label.set_zorder(6 if on else 2)
        used = [port in {edge.target for edge in edges} for port in self._ports]
        colors = [PORTS[port.kind] for port in self._ports]
        self._sockets.set_facecolor(
            [color if on else "none" for color, on in zip(colors, used, strict=True)]
        )
        self._sockets.set_edgecolor([style.INK if on else "none" for on in used])


def _short(node: Node) -> str:
    return node.name if node.head is None else f"{node.layer}.{node.head}"


def _width(part: float) -> float:
    return THINNEST + (WIDEST - THINNEST) * part
