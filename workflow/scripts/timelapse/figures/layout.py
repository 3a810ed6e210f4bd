"""Where the nodes of a model's graph stand: rows of heads from the input up to the logits.

Stage: figures. The MLPs stand at the side, half a row above their layer's heads, because they
read them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from timelapse.circuits.graph import GraphShape, Source, Target

Node = Source | Target
Corners = Float[np.ndarray, "4 2"]
Point = tuple[float, float]

HALF_WIDTH, HALF_HEIGHT = 0.41, 0.15
_PORT = 0.1
_LOGITS = Target("logits")


@dataclass(frozen=True)
class Layout:
    """Places of all nodes of a graph: columns to the right, rows upwards."""

    shape: GraphShape

    @property
    def across(self) -> tuple[float, float]:
        """The left and right edge of the panel."""
        return -0.75, self.shape.n_heads + 0.8

    @property
    def up(self) -> tuple[float, float]:
        """The lower and upper edge of the panel."""
        return -0.3, self.shape.n_layers + 1.3

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
            return self.shape.n_heads + 0.15, node.layer + 1.45
        return float(node.head), node.layer + 1.0

    def box(self, node: Node) -> Corners:
        """The corners of a node's box; input and logits reach over all heads."""
        over_all = max(self.shape.n_heads - 1, 0) / 2 if node.layer is None else 0.0
        return _rectangle(*self.place(node), over_all + HALF_WIDTH, HALF_HEIGHT)

    def socket(self, port: Target) -> Corners:
        """The corners of the small box below a head at which edges into its q, k or v end."""
        x, y = self.entry(port)
        return _rectangle(x, y + _PORT / 2, 0.11, _PORT / 2)

    def entry(self, target: Target) -> Point:
        """Where an edge ends. Keys and values that heads share lie between those heads."""
        if target.head is None:
            x, y = self.place(target)
            return x, y - HALF_HEIGHT
        group = self.shape.n_heads // self.shape.n_kv_heads
        x, y = np.mean([self.place(reader) for reader in self.shape.readers(target)], axis=0)
        side = 0.27 if group % 2 else 0.12
        offsets = {"q": -0.27 if group == 1 else 0.0, "k": -side, "v": side}
        if group == 1:
            offsets["k"] = 0.0
        return float(x) + offsets[target.kind], float(y) - HALF_HEIGHT - _PORT

    def exit(self, source: Source) -> Point:
        """Where the edges out of a node begin."""
        x, y = self.place(source)
        return x, y + HALF_HEIGHT


def _rectangle(x: float, y: float, w: float, h: float) -> Corners:
    return np.array([(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)])
