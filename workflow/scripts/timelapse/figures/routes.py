"""How the edges of a graph run: curves that bend around the nodes in between.

Stage: figures. A curve depends on the layout alone, so it never moves from frame to frame.
"""

import numpy as np
from jaxtyping import Float
from matplotlib.path import Path as Curve

from timelapse.circuits.graph import Source, Target
from timelapse.figures.layout import Layout, Point

_BOWS = np.stack(np.meshgrid(*2 * [np.linspace(-2.0, 2.0, 17)]), axis=-1).reshape(-1, 2)
_BOW_COST = 0.75
"""In crossed samples, for each column that one end of a curve leans aside."""
_AT = np.linspace(0.04, 0.96, 39)
_BERNSTEIN = np.stack(
    [(1 - _AT) ** 3, 3 * (1 - _AT) ** 2 * _AT, 3 * (1 - _AT) * _AT**2, _AT**3], axis=1
)
_AIR, _MARGIN = 0.03, 0.1


class Routes:
    """The curves of one layout, each found once.

    Attributes:
        layout: where the nodes stand.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._found: dict[tuple[Source, Target], Curve] = {}

    def curve(self, source: Source, target: Target) -> Curve:
        """The curve of an edge: upwards out of its source, upwards into its target.

        Of several bows it takes the one that crosses the fewest boxes, and rather a small one,
        rather to one side than to both.
        """
        if (source, target) not in self._found:
            begin = self.layout.exit(source, target)
            points = self._controls(begin, self.layout.entry(target, source))
            best = int(np.argmin(self._crossed(points) + _cost(_BOWS)))
            codes = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
            self._found[source, target] = Curve(points[best], codes)
        return self._found[source, target]

    def _controls(self, begin: Point, end: Point) -> Float[np.ndarray, "bow 4 2"]:
        """Bezier control points, one curve for each bow; only long edges can bow."""
        (x0, y0), (x1, y1) = begin, end
        rise = y1 - y0
        bow = _BOWS * min(1.0, max(0.0, rise - 0.6))
        points = np.empty((len(bow), 4, 2))
        points[..., 0] = [x0, x0, x1, x1]
        points[:, 1:3, 0] += bow
        points[..., 1] = [y0, y0 + 0.35 * rise, y1 - 0.35 * rise, y1]
        return points

    def _crossed(self, points: Float[np.ndarray, "bow 4 2"]) -> Float[np.ndarray, "bow"]:
        """How many samples of each curve lie in a node's box; those off the panel count tenfold."""
        along = _BERNSTEIN @ points
        left, right = self.layout.across
        beyond = (along[..., 0] < left + _MARGIN) | (along[..., 0] > right - _MARGIN)
        return self.layout.covered(along, _AIR).sum(axis=1) + 10.0 * beyond.sum(axis=1)


def _cost(bows: Float[np.ndarray, "bow end"]) -> Float[np.ndarray, "bow"]:
    return _BOW_COST * np.abs(bows).sum(axis=1) + _BOW_COST * np.abs(np.diff(bows)).sum(axis=1)
