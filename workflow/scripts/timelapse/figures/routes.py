"""How the edges of a graph run: curves that bend around the nodes in between.

Stage: figures. A curve depends on the layout alone, so it never moves from frame to frame.
"""

import numpy as np
from jaxtyping import Float
from matplotlib.path import Path as Curve

from timelapse.circuits.graph import Source, Target
from timelapse.figures.layout import HALF_HEIGHT, HALF_WIDTH, Layout, Point

_BOWS = np.linspace(-1.6, 1.6, 17)
_BOW_COST = 1.5
_AT = np.linspace(0.04, 0.96, 47)
_BERNSTEIN = np.stack(
    [(1 - _AT) ** 3, 3 * (1 - _AT) ** 2 * _AT, 3 * (1 - _AT) * _AT**2, _AT**3], axis=1
)
_AIR, _MARGIN = 0.03, 0.1
_FAN = 0.5
"""How far along input and logits an edge is attached, as a part of the way to its other end."""


class Routes:
    """The curves of one layout, each found once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._middles = np.array(
            [layout.place(node) for node in layout.nodes() if node.layer is not None]
        ).reshape(-1, 2)
        self._found: dict[tuple[Source, Target], Curve] = {}

    def curve(self, source: Source, target: Target) -> Curve:
        """The curve of an edge: upwards out of its source, upwards into its target.

        Of several bows it takes the one that crosses the fewest boxes, and rather a small one.
        """
        if (source, target) not in self._found:
            points = self._controls(*self._ends(source, target))
            best = int(np.argmin(self._crossed(points) + _BOW_COST * np.abs(_BOWS)))
            codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
            self._found[source, target] = Curve(points[best], codes)
        return self._found[source, target]

    def _ends(self, source: Source, target: Target) -> tuple[Point, Point]:
        begin, end = self._layout.exit(source), self._layout.entry(target)
        if source.layer is None and target.layer is not None:
            begin = (begin[0] + _FAN * (end[0] - begin[0]), begin[1])
        elif target.layer is None and source.layer is not None:
            end = (end[0] + _FAN * (begin[0] - end[0]), end[1])
        return begin, end

    def _controls(self, begin: Point, end: Point) -> Float[np.ndarray, "bow 4 2"]:
        """Bezier control points, one curve for each bow; only long edges can bow."""
        (x0, y0), (x1, y1) = begin, end
        rise = y1 - y0
        bow = _BOWS * min(1.0, max(0.0, rise - 0.6))
        points = np.empty((len(bow), 4, 2))
        points[..., 0] = np.array([x0, x0, x1, x1]) + np.outer(bow, [0, 1, 1, 0])
        points[..., 1] = [y0, y0 + 0.35 * rise, y1 - 0.35 * rise, y1]
        return points

    def _crossed(self, points: Float[np.ndarray, "bow 4 2"]) -> Float[np.ndarray, "bow"]:
        """How many samples of each curve lie in a node's box; those off the panel count tenfold."""
        along = np.einsum("sc,bcd->bsd", _BERNSTEIN, points)
        away = np.abs(along[:, :, None] - self._middles)
        within = (away[..., 0] < HALF_WIDTH + _AIR) & (away[..., 1] < HALF_HEIGHT + _AIR)
        left, right = self._layout.across
        beyond = (along[..., 0] < left + _MARGIN) | (along[..., 0] > right - _MARGIN)
        return within.sum(axis=(1, 2)) + 10.0 * beyond.sum(axis=1)
