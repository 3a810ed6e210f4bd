"""Reachability in the graph: which sources the input feeds, which edges lead on to the logits.

Free of torch. Edges are given as masks in the order of `GraphShape.edges`, any
number of circuits at once.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby

import numpy as np
from jaxtyping import Bool, Int, Shaped

from timelapse.circuits.graph import GraphShape

Mask = Bool[np.ndarray, "*circuit edge"]


@dataclass(frozen=True)
class Stage:
    """Targets that read at the same time: all ports of a layer's heads, an MLP, or the logits.

    Attributes:
        edges: where the edges into them lie; they are a block of targets x sources.
        n_targets: how many they are.
        n_sources: how many of the first sources feed each.
        readers: the sources behind them, consecutive; none behind the logits.
        n_shared: heads that read through one key or value; 0 for an MLP and the logits.
    """

    edges: slice
    n_targets: int
    n_sources: int
    readers: slice
    n_shared: int

    def block(
        self, kept: Shaped[np.ndarray, "*circuit edge"]
    ) -> Shaped[np.ndarray, "*circuit target source"]:
        """A view of the edges into these targets."""
        return kept[..., self.edges].reshape(*kept.shape[:-1], self.n_targets, self.n_sources)

    def passed_on(
        self, fed: Bool[np.ndarray, "*circuit target"]
    ) -> Bool[np.ndarray, "*circuit reader"]:
        """Which readers have a port that is fed."""
        if not self.n_shared:
            return fed[..., : self.readers.stop - self.readers.start]
        queries, keys, values = self._ports(fed)
        return queries | np.repeat(keys | values, self.n_shared, axis=-1)

    def needed(
        self, useful: Bool[np.ndarray, "*circuit reader"]
    ) -> Bool[np.ndarray, "*circuit target"]:
        """Which targets have a reader that is useful; the logits are by themselves."""
        if self.readers.start == self.readers.stop:
            return np.ones((*useful.shape[:-1], self.n_targets), dtype=bool)
        if not self.n_shared:
            return useful
        n_groups = useful.shape[-1] // self.n_shared
        grouped = useful.reshape(*useful.shape[:-1], n_groups, self.n_shared).any(-1)
        return np.concatenate([useful, grouped, grouped], axis=-1)

    def _ports(self, fed: Bool[np.ndarray, "*circuit target"]) -> list[np.ndarray]:
        n_heads = self.readers.stop - self.readers.start
        n_kv_heads = n_heads // self.n_shared
        return np.split(fed, [n_heads, n_heads + n_kv_heads], axis=-1)


@dataclass(frozen=True)
class Wiring:
    """A graph as index arrays."""

    shape: GraphShape

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """In the order of the computation."""
        places = {source: place for place, source in enumerate(self.shape.sources)}
        stages, first = [], 0
        groups = groupby(self.shape.targets, lambda target: (target.layer, target.kind == "mlp"))
        for _, group in groups:
            targets = list(group)
            n_sources = self.shape.n_upstream(targets[0])
            behind = sorted(
                {places[node] for target in targets for node in self.shape.readers(target)}
            )
            in_heads = targets[0].head is not None
            stages.append(
                Stage(
                    edges=slice(first, first + len(targets) * n_sources),
                    n_targets=len(targets),
                    n_sources=n_sources,
                    readers=slice(behind[0], behind[-1] + 1) if behind else slice(0, 0),
                    n_shared=self.shape.n_heads // self.shape.n_kv_heads if in_heads else 0,
                )
            )
            first = stages[-1].edges.stop
        return tuple(stages)

    @cached_property
    def source(self) -> Int[np.ndarray, " edge"]:
        """The place of each edge's source among `GraphShape.sources`."""
        return np.concatenate(
            [np.tile(np.arange(stage.n_sources), stage.n_targets) for stage in self.stages]
        )

    @cached_property
    def target(self) -> Int[np.ndarray, " edge"]:
        """The place of each edge's target among `GraphShape.targets`."""
        widths = [self.shape.n_upstream(target) for target in self.shape.targets]
        return np.repeat(np.arange(len(widths)), widths)

    @cached_property
    def by_name(self) -> Int[np.ndarray, " edge"]:
        """The edges in the order of the names of their sources, then of their targets."""
        names = [(source.name, target.name) for source, target in self.shape.edges]
        return np.array(sorted(range(len(names)), key=names.__getitem__))

    def fed(self, kept: Mask) -> Bool[np.ndarray, "*circuit source"]:
        """Which sources can be reached from the input over kept edges."""
        fed = np.zeros((*kept.shape[:-1], len(self.shape.sources)), dtype=bool)
        fed[..., 0] = True
        for stage in self.stages:
            arriving = np.any(stage.block(kept) & fed[..., None, : stage.n_sources], axis=-1)
            fed[..., stage.readers] = stage.passed_on(arriving)
        return fed

    def nodes(self, kept: Mask) -> Bool[np.ndarray, "*circuit source"]:
        """Which sources a kept edge leaves. Of pruned edges, these are all nodes but the logits."""
        nodes = np.zeros((*kept.shape[:-1], len(self.shape.sources)), dtype=bool)
        for stage in self.stages:
            nodes[..., : stage.n_sources] |= stage.block(kept).any(-2)
        return nodes

    def on_paths(self, kept: Mask) -> Mask:
        """The kept edges that lie on a path from the input to the logits over kept edges."""
        return self._leading_on(kept, self.fed(kept))

    def leading_on(self, kept: Mask) -> Mask:
        """The kept edges from which a path leads on to the logits over kept edges.

        What else is kept has no effect on the logits.
        """
        return self._leading_on(kept, np.ones((*kept.shape[:-1], len(self.shape.sources)), bool))

    def _leading_on(self, kept: Mask, fed: Bool[np.ndarray, "*circuit source"]) -> Mask:
        useful = np.zeros_like(fed)
        paths = np.empty_like(kept)
        for stage in reversed(self.stages):
            needed = stage.needed(useful[..., stage.readers])
            block = stage.block(kept) & needed[..., None] & fed[..., None, : stage.n_sources]
            useful[..., : stage.n_sources] |= block.any(-2)
            stage.block(paths)[...] = block
        return paths


@lru_cache(maxsize=8)
def wiring(shape: GraphShape) -> Wiring:
    """The wiring of a shape, built once."""
    return Wiring(shape)
