"""The circuits of a step as node-link JSON, which networkx reads."""

from collections.abc import Mapping, Set

from timelapse.circuits.graph import Source, Target
from timelapse.figures.graph.circuit_edges import ShownCircuits, ShownEdge, nodes_of
from timelapse.figures.graph.head_roles import HeadRoleLabels


def node_link_document(
    circuits: ShownCircuits, step: int, about: Mapping[str, object], labels: HeadRoleLabels
) -> dict[str, object]:
    """The circuits of a step as one directed multigraph, for `networkx.node_link_graph`.

    A key or value that several heads share gives a link to each of them in the circuit. What the
    first step's circuit has besides is listed among the attributes of the graph, as `lost`.

    Args:
        circuits: of all steps.
        step: one of its steps.
        about: further attributes of the graph.
        labels: which roles the heads hold.
    """
    by_corruption = {
        corruption: circuits.edges[step, corruption] for corruption in circuits.corruptions
    }
    active: set[str] = set().union(*map(nodes_of, by_corruption.values()))
    nodes: tuple[Source | Target, ...] = (*circuits.shape.sources, Target("logits"))
    roles = labels.at(step)
    return {
        "directed": True,
        "multigraph": True,
        "graph": {
            **about,
            "step": step,
            "first_step": circuits.steps[0],
            "method": circuits.method,
            "corruptions": list(circuits.corruptions),
            "lost": [
                {"target": edge.target.name, **_attributes(edge, step, corruption)}
                for corruption in circuits.corruptions
                for edge in circuits.lost[step, corruption]
            ],
        },
        "nodes": [
            {
                "id": node.name,
                "kind": node.kind,
                "layer": node.layer,
                "head": node.head,
                "role": next(iter(roles.get(node.name, ())), None),
                "roles": roles.get(node.name, {}),
            }
            for node in nodes
            if node.name in active
        ],
        "edges": [
            {
                "target": reader,
                "key": f"{corruption}:{edge.target.name}",
                **_attributes(edge, step, corruption),
            }
            for corruption, edges in by_corruption.items()
            for edge in edges
            for reader in _readers(circuits, edge.target, nodes_of(edges))
        ],
    }


def _readers(circuits: ShownCircuits, target: Target, active: Set[str]) -> list[str]:
    """The nodes of a circuit that read a target: several heads where they share it."""
    if target.layer is None:
        return [target.name]
    return [reader.name for reader in circuits.shape.readers(target) if reader.name in active]


def _attributes(edge: ShownEdge, step: int, corruption: str) -> dict[str, object]:
    return {
        "source": edge.source.name,
        "port": edge.target.kind if edge.target.head is not None else None,
        "score": edge.score,
        "std_error": edge.std_error,
        "clear": edge.clear,
        "change": edge.change,
        "score_at_first_step": edge.before,
        "step": step,
        "corruption": corruption,
    }
