"""A circuit as GraphML, for Gephi, Cytoscape, yEd, igraph or networkx."""

import networkx as nx

from timelapse.circuits.exports.circuit import Circuit, plain


def graphml(circuit: Circuit, about: dict[str, str | int]) -> str:
    """The nodes and edges of a circuit as a directed multigraph.

    A head is one node; what reads it as a query, key or value is the attribute `port` of an edge. A
    key or value that heads share gives an edge to each of them in the circuit, with the same score.
    Edges have the attributes `score`, pooled over the corruptions, `score_NAME` under each of them,
    and `helps`; nodes have `kind`, `layer` and `head`, as far as they have one.

    Args:
        circuit: what to write.
        about: attributes of the graph.
    """
    graph: nx.MultiDiGraph = nx.MultiDiGraph()
    graph.graph.update(about)
    inside = {node.name for node in circuit.nodes}
    for node in circuit.nodes:
        place = {"layer": node.layer, "head": node.head}
        known = {name: value for name, value in place.items() if value is not None}
        graph.add_node(node.name, kind=node.kind, **known)
    for number, source, target, readers in circuit.edges():
        if not circuit.kept[number]:
            continue
        port = {"port": target.kind} if target.head is not None else {}
        each = {
            f"score_{name}": plain(scores[number]) for name, scores in circuit.by_corruption.items()
        }
        score = plain(circuit.scores[number])
        for reader in readers:
            if reader.name in inside:
                key = f"{source.name}->{target.name}@{reader.name}"
                graph.add_edge(
                    source.name, reader.name, key, score=score, helps=score < 0, **port, **each
                )
    return "\n".join(nx.generate_graphml(graph, named_key_ids=True)) + "\n"
