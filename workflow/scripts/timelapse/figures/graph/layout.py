"""Where the nodes of a model's graph stand: rows of heads from the input up to the logits.

The MLPs stand at the side, half a row above their layer's heads, because they
read them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.path import Path as Curve

from timelapse.circuits.graph import GraphShape, Source, Target

Node = Source | Target
Corners = Float[np.ndarray, "4 2"]
Point = tuple[float, float]

HALF_WIDTH, HALF_HEIGHT = 0.39, 0.16
_PORT, _HALF_PORT = 0.11, 0.115
_MLP_ASIDE, _MLP_UP = 0.15, 0.45
_LOGITS = Target("logits")


@dataclass(frozen=True)
class GraphLayout:
    """Places of all nodes of a graph: columns to the right, rows upwards."""

    shape: GraphShape

    @property
    def across(self) -> tuple[float, float]:
        """The left and right edge of the panel."""
        return -0.95, self.shape.n_heads + 0.9

    @property
    def up(self) -> tuple[float, float]:
        """The lower and upper edge of the panel."""
        return -0.25, self.shape.n_layers + 1.25

    def nodes(self) -> tuple[Node, ...]:
        """Every node, from the input up."""
        return (*self.shape.sources, _LOGITS)

    def ports(self) -> tuple[Target, ...]:
        """Every query, key and value."""
        return tuple(target for target in self.shape.targets if target.head is not None)

    def place(self, node: Node) -> Point:
        """Column and row of a node's centre."""
        if node.layer is None:
            middle = self.shape.n_heads / 2 - 0.5
            return middle, 0.0 if node.kind == "input" else self.shape.n_layers + 1.0
        if node.head is None:
            return self.shape.n_heads + _MLP_ASIDE, node.layer + 1.0 + _MLP_UP
        return float(node.head), node.layer + 1.0

    def box(self, node: Node) -> Corners:
        """The corners of a node's box; input and logits reach over all heads."""
        return _rectangle(*self.place(node), self._half_width(node), HALF_HEIGHT)

    def _half_width(self, node: Node) -> float:
        over_all = max(self.shape.n_heads - 1, 0) / 2 if node.layer is None else 0.0
        return over_all + HALF_WIDTH

    def socket(self, port: Target) -> Corners:
        """The corners of the small box below a head at which edges into its q, k or v end."""
        x, y = self.entry(port, None)
        return _rectangle(x, y + _PORT / 2, _HALF_PORT, _PORT / 2)

    def entry(self, target: Target, source: Source | None) -> Point:
        """Where an edge ends. Keys and values that heads share lie between those heads.

        Edges into wide boxes, and into MLPs, are spread along them by where they come from.
        """
        if target.head is None:
            x, y = self.place(target)
            return x + self._aside(target, source), y - HALF_HEIGHT
        group = self.shape.n_heads // self.shape.n_kv_heads
        x, y = np.mean([self.place(reader) for reader in self.shape.readers(target)], axis=0)
        side = 0.26 if group % 2 else 0.13
        offsets = {"q": -0.26 if group == 1 else 0.0, "k": -side, "v": side}
        if group == 1:
            offsets["k"] = 0.0
        return float(x) + offsets[target.kind], float(y) - HALF_HEIGHT - _PORT

    def exit(self, source: Source, target: Target) -> Point:
        """Where an edge begins: edges leave a box towards where they go."""
        x, y = self.place(source)
        return x + self._aside(source, target), y + HALF_HEIGHT

    def _aside(self, node: Node, other: Node | None) -> float:
        """How far from the middle of a node's box an edge from or to another one is fixed."""
        if other is None:
            return 0.0
        far = self._column(other) - self.place(node)[0]
        if node.layer is None:
            depth = 0.5 if other.layer is None else (other.layer + 0.5) / self.shape.n_layers
            return _FAN * far + _LANES * (depth - 0.5)
        return 0.8 * HALF_WIDTH * far / (abs(far) + 2.0)

    def covered(
        self, points: Float[np.ndarray, "*points 2"], air: float
    ) -> Bool[np.ndarray, "*points"]:
        """Whether points lie in the box of a head or an MLP, or nearer to it than `air`."""
        x, y = points[..., 0], points[..., 1]
        wide, high = HALF_WIDTH + air, HALF_HEIGHT + air
        column = np.clip(np.rint(x), 0, self.shape.n_heads - 1)
        row = np.clip(np.rint(y), 1, self.shape.n_layers)
        in_head = (np.abs(x - column) < wide) & (np.abs(y - row) < high)
        row = np.clip(np.rint(y - _MLP_UP), 1, self.shape.n_layers)
        aside = np.abs(x - self.shape.n_heads - _MLP_ASIDE)
        return in_head | ((aside < wide) & (np.abs(y - _MLP_UP - row) < high))

    def _column(self, node: Node) -> float:
        """Where a head stands across, or where edges enter its query, key or value."""
        if isinstance(node, Target) and node.head is not None:
            return self.entry(node, None)[0]
        return self.place(node)[0]


_FAN = 0.5
"""How far along input and logits an edge is fixed, as a part of the way to its other end."""

_LANES = 0.5
"""Columns along input and logits over which the layers of the other ends are spread."""


def _rectangle(x: float, y: float, w: float, h: float) -> Corners:
    return np.array([(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)])


_BOWS = np.stack(np.meshgrid(*2 * [np.linspace(-2.0, 2.0, 17)]), axis=-1).reshape(-1, 2)
_BOW_COST = 0.75
"""In crossed samples, for each column that one end of a curve leans aside."""
_AT = np.linspace(0.04, 0.96, 39)
_BERNSTEIN = np.stack(
    [(1 - _AT) ** 3, 3 * (1 - _AT) ** 2 * _AT, 3 * (1 - _AT) * _AT**2, _AT**3], axis=1
)
_AIR, _MARGIN = 0.03, 0.1


class EdgeCurves:
    """The curves of one layout, each found once.

    Attributes:
        layout: where the nodes stand.
    """

    def __init__(self, layout: GraphLayout) -> None:
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

    def _crossed(self, points: Float[np.ndarray, "bow 4 2"]) -> Float[np.ndarray, " bow"]:
        """How many samples of each curve lie in a node's box; those off the panel count tenfold."""
        along = _BERNSTEIN @ points
        left, right = self.layout.across
        beyond = (along[..., 0] < left + _MARGIN) | (along[..., 0] > right - _MARGIN)
        return self.layout.covered(along, _AIR).sum(axis=1) + 10.0 * beyond.sum(axis=1)


def _cost(bows: Float[np.ndarray, "bow end"]) -> Float[np.ndarray, " bow"]:
    return _BOW_COST * np.abs(bows).sum(axis=1) + _BOW_COST * np.abs(np.diff(bows)).sum(axis=1)
