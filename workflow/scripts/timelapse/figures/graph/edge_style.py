"""How the edges of a circuit look: what colour, width, halo and dashes stand for. Stage: figures.

Colour is the sign of the score, grey where its 95 % interval includes 0; width is its size, and
weak edges are pale and lie beneath strong ones. Dashes and halo tell what became of an edge since
the first step.
"""

from collections.abc import Sequence

from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from timelapse.figures import style
from timelapse.figures.graph.circuit_edges import Edge
from timelapse.figures.graph.panel import Stroke

WIDEST, THINNEST = 6.0, 0.8
WIDEST_GHOST = 2.0
PALEST = 0.4
"""How much of its colour the weakest edge of a large circuit keeps."""
FEW, MANY = 20, 150
"""Circuits of so few edges are not paled, those of so many are paled most."""
HALO = "#a9dac8"
HALO_WIDTHS = 5.0, 2.2
"""Points by which the halo is wider than its line, in small and in large circuits."""


def strokes_of(edges: Sequence[Edge], lost: Sequence[Edge], largest: float) -> list[Stroke]:
    """The strokes of a circuit, the weakest first; what was lost lies beneath all.

    Args:
        edges: the circuit, the strongest first.
        lost: what the first step's circuit has besides.
        largest: the |score| of the widest stroke.
    """
    palest = palest_of(len(edges))
    halo_width = HALO_WIDTHS[0] + _crowd(len(edges)) * (HALO_WIDTHS[1] - HALO_WIDTHS[0])
    ghosts = [
        Stroke(
            edge.source,
            edge.target,
            style.GHOST,
            min(width_of(abs(edge.before) / largest), WIDEST_GHOST),
            dashes="--",
            ghost=True,
        )
        for edge in reversed(lost)
    ]
    strokes = []
    for edge in reversed(edges):
        part = abs(edge.score) / largest
        strength = strength_of(part, palest)
        strokes.append(
            Stroke(
                edge.source,
                edge.target,
                style.tint(color_of(edge), strength),
                width_of(part),
                halo=style.tint(HALO, strength) if edge.change == "added" else None,
                halo_width=halo_width,
            )
        )
    return [*ghosts, *strokes]


def palest_of(n_edges: int) -> float:
    """How much of its colour the weakest edge of a circuit of this size keeps."""
    return 1.0 - (1.0 - PALEST) * _crowd(n_edges)


def strength_of(part: float, palest: float) -> float:
    """How much of its colour an edge keeps; `part` is its share of the largest score."""
    return palest + (1.0 - palest) * part**0.4


def _crowd(n_edges: int) -> float:
    return min(max(n_edges - FEW, 0) / (MANY - FEW), 1.0)


def color_of(edge: Edge) -> str:
    """Blue helps, orange hurts, grey may do either."""
    if not edge.clear:
        return style.MUTED
    return style.BLUE if edge.score < 0 else style.ORANGE


def width_of(part: float) -> float:
    """The width of a stroke in points; `part` is its share of the largest score.

    Scores have a long tail: less than linear, so that weak edges differ in width too.
    """
    return THINNEST + (WIDEST - THINNEST) * part**0.7


def sign_handles() -> list[Line2D]:
    """What the colours stand for, as entries of a legend."""
    return [
        style.line_handle("helps (score < 0)", style.BLUE, 3),
        style.line_handle("hurts (score > 0)", style.ORANGE, 3),
        style.line_handle("95 % interval includes 0", style.MUTED, 3),
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
