"""The edges that the circuit figure draws, step by step, and the same as JSON. Stage: figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from timelapse.circuits.graph import GraphShape, Source, Target
from timelapse.circuits.selection import shape_of, strongest
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.plots import Circuit
from timelapse.figures.reading import REBUILD


@dataclass(frozen=True)
class Edge:
    """A drawn edge; `score` estimates what corrupting it does to the logit difference."""

    source: Source
    target: Target
    score: float
    std_error: float

    @property
    def clear(self) -> bool:
        """Whether the 95 % interval of the score leaves out 0."""
        return abs(self.score) > style.Z95 * self.std_error


@dataclass(frozen=True)
class Selection:
    """The circuits of every step under every corruption.

    Attributes:
        shape: the graph of the model.
        steps: ascending.
        corruptions: in the order of the table.
        edges: of each step and corruption, the strongest first.
    """

    shape: GraphShape
    steps: tuple[int, ...]
    corruptions: tuple[str, ...]
    edges: dict[tuple[int, str], tuple[Edge, ...]]

    @property
    def largest(self) -> float:
        """The largest |score| of all circuits; 1 if all are empty."""
        sizes = [abs(edge.score) for edges in self.edges.values() for edge in edges]
        return max(sizes, default=0.0) or 1.0

    def lit(self, edges: Sequence[Edge]) -> set[str]:
        """The names of the nodes that belong to a circuit."""
        return {edge.source.name for edge in edges} | ({"logits"} if edges else set())

    def document(self, step: int, about: Mapping[str, object]) -> dict[str, object]:
        """The circuits of a step as one node-link multigraph, which networkx reads.

        A key or value that several heads share gives a link to each of them in the circuit.

        Args:
            step: one of `steps`.
            about: further attributes of the graph.
        """
        circuits = {corruption: self.edges[step, corruption] for corruption in self.corruptions}
        lit: set[str] = set().union(*(self.lit(edges) for edges in circuits.values()))
        nodes: tuple[Source | Target, ...] = (*self.shape.sources, Target("logits"))
        return {
            "directed": True,
            "multigraph": True,
            "graph": {**about, "step": step, "corruptions": list(self.corruptions)},
            "nodes": [
                {"id": node.name, "kind": node.kind, "layer": node.layer, "head": node.head}
                for node in nodes
                if node.name in lit
            ],
            "edges": [
                {
                    "source": edge.source.name,
                    "target": reader,
                    "key": f"{corruption}:{edge.target.name}",
                    "port": edge.target.kind if edge.target.head is not None else None,
                    "score": edge.score,
                    "std_error": edge.std_error,
                    "step": step,
                    "corruption": corruption,
                }
                for corruption, edges in circuits.items()
                for edge in edges
                for reader in self._readers(edge.target, self.lit(edges))
            ],
        }

    def _readers(self, target: Target, lit: set[str]) -> list[str]:
        if target.layer is None:
            return [target.name]
        return [reader.name for reader in self.shape.readers(target) if reader.name in lit]


def select(plot: Circuit, table: pa.Table, source: str | Path) -> Selection:
    """Choose the edges of every step under every corruption.

    Raises:
        UserError: not one edge is asked for, the method is missing or unclear, or a name is no
            node's.
    """
    if plot.edges < 1:
        raise UserError(
            "config", "figures.circuit.edges", f"{plot.edges} is no number of edges", "Ask for one"
        )
    table = _one_method(table, plot.method, source)
    names = {*pc.unique(table["source"]).to_pylist(), *pc.unique(table["target"]).to_pylist()}
    try:
        shape = shape_of(names)
    except ValueError as error:
        raise UserError(source, "source", str(error), REBUILD) from error
    sources = {node.name: node for node in shape.sources}
    targets = {node.name: node for node in shape.targets}
    steps = tuple(sorted(pc.unique(table["step"]).to_pylist()))
    corruptions = tuple(pc.unique(table["corruption"]).to_pylist())
    chosen = {}
    for step in steps:
        of_step = table.filter(pc.equal(table["step"], step))
        for corruption in corruptions:
            part = of_step.filter(pc.equal(of_step["corruption"], corruption))
            chosen[step, corruption] = tuple(
                Edge(sources[row["source"]], targets[row["target"]], row["score"], row["std_error"])
                for row in strongest(part, plot.edges, shape).to_pylist()
            )
    return Selection(shape, steps, corruptions, chosen)


def _one_method(table: pa.Table, method: str | None, source: str | Path) -> pa.Table:
    methods = [str(name) for name in pc.unique(table["method"]).to_pylist()]
    names = ", ".join(methods)
    if method is None and len(methods) > 1:
        raise UserError(
            source, "method", f"edges of several methods ({names})", "Set the figure's method"
        )
    if method is not None and method not in methods:
        raise UserError(source, "method", f"no edges of method {method}", f"Choose among {names}")
    return table if method is None else table.filter(pc.equal(table["method"], method))
