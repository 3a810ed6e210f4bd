"""The circuit: its strongest edges layer by layer, one panel for each corruption.

Stage: figures. Nodes keep their places and edges their scale over all frames; nodes outside the
circuit stay in sight as faint boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.patches import Patch

from timelapse.circuits.selection import strongest
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.nodes import Layout, Node, split_port
from timelapse.figures.reading import REBUILD
from timelapse.figures.routes import Routes

PORTS = {"q": style.GREEN, "k": style.PURPLE, "v": style.YELLOW}
WIDEST = 6.0
THINNEST = 0.7


@dataclass(frozen=True)
class Edge:
    """A drawn edge; `score` estimates what corrupting it does to the logit difference."""

    source: str
    target: str
    port: str | None
    score: float
    std_error: float

    @property
    def clear(self) -> bool:
        """Whether the 95 % interval of the score leaves out 0."""
        return abs(self.score) > style.Z95 * self.std_error


@dataclass(frozen=True)
class Circuit:
    """What a circuit figure draws.

    Attributes:
        edges: how many of the strongest edges are chosen before pruning.
        method: which attribution method, if the table holds several.
    """

    edges: int = 30
    method: str | None = None

    def open(self, table: pa.Table, source: str | Path) -> "CircuitDrawing":
        """See `Plot.open`."""
        return CircuitDrawing(self, table, source)


class CircuitDrawing:
    """An open circuit figure.

    Attributes:
        corruptions: the panels from left to right.
        selected: the drawn edges of each step and corruption, the strongest first.
    """

    def __init__(self, plot: Circuit, table: pa.Table, source: str | Path) -> None:
        table = _one_method(table, plot.method, source)
        self.steps = tuple(sorted(pc.unique(table["step"]).to_pylist()))
        self.corruptions: tuple[str, ...] = tuple(pc.unique(table["corruption"]).to_pylist())
        self.selected = _select(table, self.corruptions, plot.edges)
        self._chosen = plot.edges
        self._layout = Layout.holding(_nodes(table, source))
        scores = [edge.score for edges in self.selected.values() for edge in edges]
        self._strongest = max(map(abs, scores), default=1.0)
        width, height = 14.0, min(10.0, 4.0 + 0.5 * (self._layout.layers + 2))
        self.figure = style.new_figure(width, height)
        gap, floor, left = 0.2, 0.8, 0.75
        wide = (width - left - style.MARGIN - gap * (len(self.corruptions) - 1)) / len(
            self.corruptions
        )
        tall = height - floor - style.HEADER - 0.35
        self._panels = [
            Panel(
                style.add_axes(self.figure, left + number * (wide + gap), floor, wide, tall),
                self._layout,
                first=number == 0,
            )
            for number in range(len(self.corruptions))
        ]
        self._legend()

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        for corruption, panel in zip(self.corruptions, self._panels, strict=True):
            edges = self.selected[self.steps[index], corruption]
            panel.show(self._caption(corruption, len(edges)), edges, self._strongest)

    def document(self, index: int) -> dict[str, object]:
        """The drawn circuits of a step as one node-link multigraph (networkx reads it)."""
        step = self.steps[index]
        chosen = {corruption: self.selected[step, corruption] for corruption in self.corruptions}
        names = {
            name for edges in chosen.values() for edge in edges for name in (edge.source, edge.target)
        }
        return {
            "directed": True,
            "multigraph": True,
            "graph": {"step": step, "corruptions": list(self.corruptions)},
            "nodes": [
                {"id": node.name, "kind": node.kind, "layer": node.layer, "head": node.head}
                for node in self._layout.nodes()
                if node.name in names
            ],
            "edges": [
                {
                    "source": edge.source,
                    "target": edge.target,
                    "key": f"{corruption}:{edge.port or ''}",
                    "port": edge.port,
                    "score": edge.score,
                    "std_error": edge.std_error,
                    "step": step,
                    "corruption": corruption,
                }
                for corruption, edges in chosen.items()
                for edge in edges
            ],
        }

    def _caption(self, corruption: str, left: int) -> str:
        return f"corruption: {corruption} · {left} of {self._chosen} edges"

    def _legend(self) -> None:
        top = self._strongest
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
            {"size": style.SMALL},
        )


class Panel:
    """The graph under one corruption."""

    def __init__(self, axes: Axes, layout: Layout, first: bool) -> None:
        self._routes = Routes(layout)
        nodes = layout.nodes()
        self._order = [node.name for node in nodes]
        axes.set_xlim(*layout.across)
        axes.set_ylim(*layout.up)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks(
            range(1, layout.layers + 1), [f"layer {layer}" for layer in range(layout.layers)]
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
        self._ports = [(node, port) for node in nodes if node.kind == "head" for port in PORTS]
        self._sockets = PolyCollection(
            [layout.socket(*port) for port in self._ports], zorder=5, linewidths=0.6
        )
        for collection in (self._edges, self._lit, self._sockets):
            axes.add_collection(collection, autolim=False)
        small = layout.heads > 6
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

    def show(self, title: str, edges: Sequence[Edge], strongest_score: float) -> None:
        """Draw these edges and light up the nodes that they join."""
        self._title.set_text(title)
        self._nothing.set_visible(not edges)
        self._edges.set_paths(
            [self._routes.curve(edge.source, edge.target, edge.port) for edge in edges]
        )
        self._edges.set_edgecolors(
            [style.BLUE if edge.score < 0 else style.ORANGE for edge in edges]
        )
        self._edges.set_linewidths([_width(abs(edge.score) / strongest_score) for edge in edges])
        self._edges.set_linestyles(["-" if edge.clear else "--" for edge in edges])
        alive = {name for edge in edges for name in (edge.source, edge.target)}
        lit = [name in alive for name in self._order]
        self._lit.set_facecolors(["white" if on else "none" for on in lit])
        self._lit.set_edgecolors([style.INK if on else "none" for on in lit])
        for label, on in zip(self._labels, lit, strict=True):
            label.set_color(style.INK if on else "#b0b0b0")
            label.set_zorder(6 if on else 2)
        used = {(edge.target, edge.port) for edge in edges}
        on = [(node.name, port) in used for node, port in self._ports]
        self._sockets.set_facecolors(
            [PORTS[port] if lit else "none" for (_, port), lit in zip(self._ports, on, strict=True)]
        )
        self._sockets.set_edgecolors([style.INK if lit else "none" for lit in on])


def _short(node: Node) -> str:
    return node.name if node.head is None else f"{node.layer}.{node.head}"


def _width(part: float) -> float:
    return THINNEST + (WIDEST - THINNEST) * part


def _one_method(table: pa.Table, method: str | None, source: str | Path) -> pa.Table:
    methods = pc.unique(table["method"]).to_pylist()
    if method is None and len(methods) > 1:
        names = ", ".join(map(str, methods))
        raise UserError(
            source, "method", f"edges of several methods ({names})", "Set the figure's method"
        )
    if method is not None and method not in methods:
        names = ", ".join(map(str, methods))
        raise UserError(
            source, "method", f"no edges of method {method}", f"Choose among {names}"
        )
    return table if method is None else table.filter(pc.equal(table["method"], method))


def _select(
    table: pa.Table, corruptions: Sequence[str], n: int
) -> dict[tuple[int, str], list[Edge]]:
    chosen = {}
    for step in pc.unique(table["step"]).to_pylist():
        of_step = table.filter(pc.equal(table["step"], step))
        for corruption in corruptions:
            part = of_step.filter(pc.equal(of_step["corruption"], corruption))
            chosen[step, corruption] = [
                Edge(row["source"], *split_port(row["target"]), row["score"], row["std_error"])
                for row in strongest(part, n).to_pylist()
            ]
    return chosen


def _nodes(table: pa.Table, source: str | Path) -> list[Node]:
    names = {
        *pc.unique(table["source"]).to_pylist(),
        *(split_port(target)[0] for target in pc.unique(table["target"]).to_pylist()),
    }
    try:
        return [Node.of(name) for name in sorted(names)]
    except ValueError as error:
        raise UserError(source, "source", str(error), REBUILD) from error
