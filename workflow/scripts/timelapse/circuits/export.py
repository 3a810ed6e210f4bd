"""What is exported: the scores of one checkpoint, and the circuit chosen by them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import networkx as nx
import numpy as np
from jaxtyping import Bool, Float

from timelapse.circuits.graph import GraphShape, Source, Target
from timelapse.circuits.reachability import wiring
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.circuits.selection import choose
from timelapse.errors import UserError
from timelapse.models.checkpoints import verify


@dataclass(frozen=True)
class ExportedCircuit:
    """A scored graph and the circuit in it.

    Attributes:
        shape: the graph.
        scores: pooled over the corruptions, in the order of `GraphShape.edges`; negative: it helps.
        by_corruption: the scores under each.
        kept: which edges are in the circuit.
    """

    shape: GraphShape
    scores: Float[np.ndarray, " edge"]
    by_corruption: Mapping[str, Float[np.ndarray, " edge"]]
    kept: Bool[np.ndarray, " edge"]

    @classmethod
    def strongest(cls, scored: ScoredEdges, step: int, method: str, n: int) -> "ExportedCircuit":
        """The circuit of size `n` by |pooled score|, see `selection.choose`.

        Raises:
            UserError: the tables lack the step or the method.
        """
        scores = scored.pooled(step, method)
        each = {name: scored.scores(step, name, method) for name in scored.corruptions}
        return cls(scored.shape, scores, each, choose(scores, scored.shape, n))

    @cached_property
    def nodes(self) -> tuple[Source | Target, ...]:
        """The nodes of the circuit; the logits are always there, the input if an edge is."""
        inside = wiring(self.shape).nodes(self.kept)
        sources = (node for node, used in zip(self.shape.sources, inside, strict=True) if used)
        return (*sources, Target("logits"))

    def edges(self) -> Iterator[tuple[int, Source, Target, tuple[Source | Target, ...]]]:
        """Number, ends and reading nodes of every edge of the graph.

        A head, MLP or the logits read by themselves; several heads may share a key or value.
        """
        for number, (source, target) in enumerate(self.shape.edges):
            yield number, source, target, self.shape.readers(target) or (target,)


def plain(number: np.float32) -> float:
    """The shortest decimal that is this number in single precision."""
    return float(str(np.float32(number)))


def graphml(circuit: ExportedCircuit, about: dict[str, str | int]) -> str:
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


def importances(circuit: ExportedCircuit, d_model: int) -> str:
    """All edges with their scores, positive if they help, and whether they are in the circuit.

    The benchmark gives every head its own keys and values. Where heads share them, an edge into a
    shared one is written once for each of its heads, with an equal part of its score, so that sums
    over edges stay what they are; only for heads of the circuit it is marked as in it. How the
    score really divides among the heads is not known.

    Args:
        circuit: what to write.
        d_model: the width of the residual stream, which the format's configuration names.
    """
    shape = circuit.shape
    inside = {node.name for node in circuit.nodes}
    names = [*(source.name for source in shape.sources), "logits"]
    edges = {}
    for number, source, target, readers in circuit.edges():
        port = f"<{target.kind}>" if target.head is not None else ""
        score = -plain(circuit.scores[number] / len(readers)) + 0.0
        for reader in readers:
            kept = bool(circuit.kept[number]) and reader.name in inside
            edges[f"{source.name}->{reader.name}{port}"] = {"score": score, "in_graph": kept}
    document = {
        "cfg": {
            "n_layers": shape.n_layers,
            "n_heads": shape.n_heads,
            "parallel_attn_mlp": shape.parallel,
            "d_model": d_model,
        },
        "nodes": {name: {"in_graph": name in inside} for name in names},
        "edges": edges,
    }
    return json.dumps(document) + "\n"


def width(config: Path) -> int:
    """The width of the residual stream, from a checkpoint's config.json.

    Raises:
        UserError: the file cannot be read or does not say.
    """
    verify(config.parent, lambda name: name == config.name)
    try:
        document = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            config, "", f"not a readable configuration ({error})", "Give a model folder"
        ) from error
    for name in ("hidden_size", "n_embd", "d_model"):
        if isinstance(document.get(name), int):
            return document[name]
    raise UserError(
        config, "hidden_size", "the model's width is missing", "Add it, or leave the export out"
    )
