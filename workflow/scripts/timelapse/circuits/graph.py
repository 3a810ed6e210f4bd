"""The computational graph that circuits live in: who writes to the residual stream, who reads it.

Sources write: the input embedding, every head, every MLP. Targets read: the query, key and value
projection of every head, every MLP, and the logits. Both are listed in the order of the
computation, so the sources that feed a target are always the first few.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal


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
