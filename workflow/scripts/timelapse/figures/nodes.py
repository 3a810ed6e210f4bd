"""Where the nodes of a model's graph stand: rows of heads from the input up to the logits.

Stage: figures. The MLPs stand at the side, half a row above their layer's heads, because they
read them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Corners = Float[np.ndarray, "4 2"]

HALF_WIDTH, HALF_HEIGHT = 0.41, 0.15
PORTS = "qkv"

_NAME = re.compile(r"(?P<end>input|logits)|a(?P<layer>\d+)\.h(?P<head>\d+)|m(?P<mlp>\d+)")
_PORT = re.compile(r"(?P<node>.+)<(?P<port>[qkv])>")


@dataclass(frozen=True)
class Node:
    """A node of the graph.

    Attributes:
        name: input, a3.h1, m4 or logits.
        kind: input, head, mlp or logits.
        layer: of a head or MLP.
        head: of a head.
    """

    name: str
    kind: str
    layer: int | None = None
    head: int | None = None

    @classmethod
    def of(cls, name: str) -> "Node":
        """Read a node's name.

        Raises:
            ValueError: it is not one.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is not the name of a node")
        if found["end"]:
            return cls(name, found["end"])
        if found["mlp"]:
            return cls(name, "mlp", int(found["mlp"]))
        return cls(name, "head", int(found["layer"]), int(found["head"]))


def split_port(target: str) -> tuple[str, str | None]:
    """The node and the port that an edge ends at: a5.h2<q> -> (a5.h2, q), m4 -> (m4, None)."""
    found = _PORT.fullmatch(target)
    return (found["node"], found["port"]) if found else (target, None)


@dataclass(frozen=True)
class Layout:
    """Places of all nodes of a model: columns to the right, rows upwards.

    Attributes:
        layers: number of layers.
        heads: number of heads per layer.
    """

    layers: int
    heads: int

    @classmethod
    def holding(cls, nodes: Iterable[Node]) -> "Layout":
        """The smallest layout that has a place for each of the nodes."""
        known = list(nodes)
        return cls(
            1 + max((node.layer for node in known if node.layer is not None), default=-1),
            1 + max((node.head for node in known if node.head is not None), default=-1),
        )

    @property
    def across(self) -> tuple[float, float]:
        """The left and right edge of the panel."""
        return -0.75, self.heads + 0.8

    @property
    def up(self) -> tuple[float, float]:
        """The lower and upper edge of the panel."""
        return -0.3, self.layers + 1.3

    def nodes(self) -> list[Node]:
        """Every node, from the input up."""
        between = [
            Node.of(name)
            for layer in range(self.layers)
            for name in (*(f"a{layer}.h{head}" for head in range(self.heads)), f"m{layer}")
        ]
        return [Node.of("input"), *between, Node.of("logits")]

    def place(self, node: Node) -> tuple[float, float]:
        """Column and row of a node's centre."""
        if node.layer is None:
            return self.heads / 2 - 0.5, 0.0 if node.kind == "input" else self.layers + 1.0
        if node.head is None:
            return self.heads + 0.15, node.layer + 1.45
        return float(node.head), node.layer + 1.0

    def half_width(self, node: Node) -> float:
        """Half the width of a node's box; input and logits reach over all heads."""
        return HALF_WIDTH if node.layer is not None else max(self.heads / 2 - 0.5, 0) + HALF_WIDTH

    def box(self, node: Node) -> Corners:
        """The corners of a node's box."""
        return _rectangle(*self.place(node), self.half_width(node), HALF_HEIGHT)

    def socket(self, node: Node, port: str) -> Corners:
        """The corners of the small box below a head at which edges into its q, k or v end."""
        x, y = self.entry(node, port)
        return _rectangle(x, y + 0.05, 0.11, 0.05)

    def entry(self, node: Node, port: str | None) -> tuple[float, float]:
        """Where an edge into a node, or into a port of a head, ends."""
        x, y = self.place(node)
        if port is None:
            return x, y - HALF_HEIGHT
        return x + 0.27 * (PORTS.index(port) - 1), y - HALF_HEIGHT - 0.1

    def exit(self, node: Node) -> tuple[float, float]:
        """Where the edges out of a node begin."""
        x, y = self.place(node)
        return x, y + HALF_HEIGHT


def _rectangle(x: float, y: float, w: float, h: float) -> Corners:
    return np.array([(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)])
