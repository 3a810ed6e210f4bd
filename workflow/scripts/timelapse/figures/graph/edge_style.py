"""How the edges of a circuit look: what colour, width, halo and dashes stand for.

Colour is the sign of the score, grey where its 95 % interval includes 0; width is its size, and
weak edges are pale and lie beneath strong ones. Dashes and halo tell what became of an edge since
the first step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from timelapse.circuits.graph import Source, Target
from timelapse.figures import style
from timelapse.figures.graph.circuit_edges import ShownEdge

WIDEST, THINNEST = 6.0, 0.8
WIDEST_LOST = 2.0
PALEST = 0.4
"""How much of its colour the weakest edge of a large circuit keeps."""
FEW, MANY = 20, 150
"""Circuits of so few edges are not paled, those of so many are paled most."""
HALO = "#a9dac8"
HALO_WIDTHS = 5.0, 2.2
"""Points by which the halo is wider than its line, in small and in large circuits."""


@dataclass(frozen=True)
class EdgeStyle:
    """An edge as it is drawn.

    Attributes:
        source: where it begins.
        target: where it ends.
        color: of the line.
        width: of the line, in points.
        dashes: as matplotlib names them.
        lost: whether the circuit lacks it, and it is only a reminder of the first step's.
        halo: the colour of a band beneath it; none if None.
        halo_width: by how much the band is wider than the line, in points.
    """

    source: Source
    target: Target
    color: str
    width: float
    dashes: style.Dashes = "-"
    lost: bool = False
    halo: str | None = None
    halo_width: float = 5.0


def edge_styles(
    edges: Sequence[ShownEdge], lost: Sequence[ShownEdge], largest: float
) -> list[EdgeStyle]:
    """The looks of a circuit's edges, the weakest first; what was lost lies beneath all.

    Args:
        edges: the circuit, the strongest first.
        lost: what the first step's circuit has besides.
        largest: the |score| of the widest edge.
    """
    palest = palest_of(len(edges))
    halo_width = HALO_WIDTHS[0] + _crowd(len(edges)) * (HALO_WIDTHS[1] - HALO_WIDTHS[0])
    ghosts = [
        EdgeStyle(
            edge.source,
            edge.target,
            style.GHOST,
            min(width_of(abs(edge.before) / largest), WIDEST_LOST),
            dashes="--",
            lost=True,
        )
        for edge in reversed(lost)
    ]
    drawn = []
    for edge in reversed(edges):
        part = abs(edge.score) / largest
        strength = strength_of(part, palest)
        drawn.append(
            EdgeStyle(
                edge.source,
                edge.target,
                style.tint(color_of(edge), strength),
                width_of(part),
                halo=style.tint(HALO, strength) if edge.change == "added" else None,
                halo_width=halo_width,
            )
        )
    return [*ghosts, *drawn]


def palest_of(n_edges: int) -> float:
    """How much of its colour the weakest edge of a circuit of this size keeps."""
    return 1.0 - (1.0 - PALEST) * _crowd(n_edges)


def strength_of(part: float, palest: float) -> float:
    """How much of its colour an edge keeps; `part` is its share of the largest score."""
    return palest + (1.0 - palest) * part**0.4


def _crowd(n_edges: int) -> float:
    return min(max(n_edges - FEW, 0) / (MANY - FEW), 1.0)


def color_of(edge: ShownEdge) -> str:
    """Blue helps, orange hurts, grey may do either."""
    if not edge.clear:
        return style.MUTED
    return style.BLUE if edge.score < 0 else style.ORANGE


def width_of(part: float) -> float:
    """The width of an edge in points; `part` is its share of the largest score.

    Scores have a long tail: less than linear, so that weak edges differ in width too.
    """
    return THINNEST + (WIDEST - THINNEST) * part**0.7


def sign_handles() -> list[Line2D]:
    """What the colours stand for, as entries of a legend."""
    return [
        style.line_handle("helps (score < 0)", style.BLUE, 3.0),
        style.line_handle("hurts (score > 0)", style.ORANGE, 3.0),
        style.line_handle("95 % interval includes 0", style.MUTED, 3.0),
    ]


def width_handles(largest: float) -> list[Line2D]:
    """What the widths stand for."""
    return [
        style.line_handle(f"|score| {part * largest:.2g}", style.INK, width_of(part))
        for part in (0.1, 0.5, 1.0)
    ]


def change_handles(kept: str, added: str, lost: str) -> list[Line2D]:
    """What halo and dashes stand for, in the caller's words."""
    highlighted = style.line_handle(added, style.INK, 1.6)
    highlighted.set_path_effects([withStroke(linewidth=1.6 + HALO_WIDTHS[0], foreground=HALO)])
    return [
        style.line_handle(kept, style.INK, 1.6),
        highlighted,
        style.line_handle(lost, style.GHOST, 1.6, "--"),
    ]
