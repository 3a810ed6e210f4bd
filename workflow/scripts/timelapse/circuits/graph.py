"""The computational graph that circuits live in: who writes to the residual stream, who reads it.

Sources write: the input embedding, every head, every MLP. Targets read: the query, key and value
projection of every head, every MLP, and the logits. Both are listed in the order of the
computation, so the sources that feed a target are always the first few.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Int


@dataclass(frozen=True)
class Source:
    """A node that adds to the residual stream."""

    kind: Literal["input", "head", "mlp"]
    layer: int | None = None
    head: int | None = None

    @property
    def name(self) -> str:
        """`input`, `a3.h1` or `m4`."""
        if self.kind == "input":
            return "input"
        return f"m{self.layer}" if self.kind == "mlp" else f"a{self.layer}.h{self.head}"


@dataclass(frozen=True)
class Target:
    """A place where the residual stream is read.

    `head` of a key or value counts key/value heads: under grouped-query attention several heads
    read through it.
    """

    kind: Literal["q", "k", "v", "mlp", "logits"]
    layer: int | None = None
    head: int | None = None

    @property
    def name(self) -> str:
        """`a5.h2<q>`, `a5.h2<k>`, `a5.h2<v>`, `m4` or `logits`."""
        if self.kind == "logits":
            return "logits"
        return (
            f"m{self.layer}" if self.kind == "mlp" else f"a{self.layer}.h{self.head}<{self.kind}>"
        )


@dataclass(frozen=True)
class GraphShape:
    """The size of a decoder's graph.

    Attributes:
        n_layers: blocks of attention and MLP.
        n_heads: attention heads of a layer.
        n_kv_heads: key/value heads of a layer; fewer than `n_heads` if heads share them.
        parallel: the MLP reads what the attention of its layer reads, not what it has written.
    """

    n_layers: int
    n_heads: int
    n_kv_heads: int
    parallel: bool = False

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """In the order in which they write."""
        return (
            Source("input"),
            *(
                source
                for layer in range(self.n_layers)
                for source in (
                    *(Source("head", layer, head) for head in range(self.n_heads)),
                    Source("mlp", layer),
                )
            ),
        )

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """In the order in which they read: queries, keys, values, MLP of each layer; logits."""
        return (
            *(
                target
                for layer in range(self.n_layers)
                for target in (
                    *(Target("q", layer, head) for head in range(self.n_heads)),
                    *(Target("k", layer, head) for head in range(self.n_kv_heads)),
                    *(Target("v", layer, head) for head in range(self.n_kv_heads)),
                    Target("mlp", layer),
                )
            ),
            Target("logits"),
        )

    def n_upstream(self, target: Target) -> int:
        """How many of the first sources have written when the target reads."""
        if target.layer is None:
            return len(self.sources)
        before = 1 + target.layer * (self.n_heads + 1)
        reads_own_heads = target.kind == "mlp" and not self.parallel
        return before + self.n_heads * reads_own_heads

    def upstream(self, target: Target) -> tuple[Source, ...]:
        """The sources that feed the target."""
        return self.sources[: self.n_upstream(target)]

    def readers(self, target: Target) -> tuple[Source, ...]:
        """The nodes whose output depends on what the target reads; none for the logits."""
        if target.kind == "logits":
            return ()
        if target.kind == "mlp":
            return (Source("mlp", target.layer),)
        assert target.head is not None
        group = 1 if target.kind == "q" else self.n_heads // self.n_kv_heads
        heads = range(target.head * group, (target.head + 1) * group)
        return tuple(Source("head", target.layer, head) for head in heads)

    @cached_property
    def edges(self) -> tuple[tuple[Source, Target], ...]:
        """Every edge, target by target; the order of all scores."""
        return tuple(
            (source, target) for target in self.targets for source in self.upstream(target)
        )


_NAME = re.compile(
    r"(input|logits|a(?P<layer>\d+)\.h(?P<head>\d+)(<(?P<port>[qkv])>)?|m(?P<mlp>\d+))"
)


def shape_of(names: Iterable[str]) -> GraphShape:
    """The graph that the names of all its sources and targets span.

    Names do not tell whether MLPs read the heads beside them; they are taken to do so.

    Raises:
        ValueError: a name is not one of a node.
    """
    layers, heads, kv_heads = 0, 0, 0
    for name in names:
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(f"{name!r} is not the name of a node")
        layers = max(layers, 1 + int(found["layer"] or found["mlp"] or -1))
        if found["port"] in ("k", "v"):
            kv_heads = max(kv_heads, 1 + int(found["head"]))
        elif found["head"]:
            heads = max(heads, 1 + int(found["head"]))
    heads = max(heads, kv_heads)
    return GraphShape(layers, heads, kv_heads or heads)


def edge_numbers(edges: pa.Table, shape: GraphShape) -> Int[np.ndarray, " row"]:
    """The place of every row's edge in the order of `GraphShape.edges`.

    Args:
        edges: with the columns `source` and `target`, neither of them null.
        shape: the graph.

    Raises:
        ValueError: a row's edge is none of this graph.
    """
    widths = np.array([shape.n_upstream(target) for target in shape.targets])
    firsts = np.cumsum(widths) - widths
    source, sources = _codes(edges["source"], [node.name for node in shape.sources])
    target, targets = _codes(edges["target"], [node.name for node in shape.targets])
    known = (source >= 0) & (target >= 0)
    known &= source < np.where(known, widths[target], 0)
    if not known.all():
        row = int(known.argmin())
        edge = f"{sources[row].as_py()} -> {targets[row].as_py()}"
        raise ValueError(f"{edge} is not an edge of {shape}")
    return firsts[target] + source


def _codes(
    column: pa.ChunkedArray, names: list[str]
) -> tuple[Int[np.ndarray, " row"], pa.StringArray]:
    """The place of every row's name among `names`, -1 if it is not there; and the rows' names."""
    places = {name: place for place, name in enumerate(names)}
    strings = column.cast(pa.string()).combine_chunks()
    encoded = strings.dictionary_encode()
    found = [places.get(name, -1) for name in encoded.dictionary.to_pylist()]
    return np.array(found, dtype=np.int64)[encoded.indices.to_numpy()], strings
