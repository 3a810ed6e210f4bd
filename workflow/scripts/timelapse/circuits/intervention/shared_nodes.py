"""Which nodes of several circuits compute the same, so that a pass computes each only once.

What a node writes depends on the edges that lead to it and on nothing else: on which of its
sources' edges are kept, and on what those sources write in turn. Two circuits that agree on all of
that share the node. Circuits that are measured together usually agree on much: those of one ranking
are nested, those of neighbouring checkpoints alike, and one that lacks a single edge is the whole
model up to there. Nodes from which nothing leads to the logits need not be computed at all.

Free of torch: a plan is made once for some circuits, and run for any number of prompts.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.reachability import Stage, wiring

_UNUSED = -1


@dataclass(frozen=True)
class OneCircuitsReads:
    """Inputs that are put together from the same outputs.

    Attributes:
        reads: which of the reads of `Reads` they are.
        slots: the outputs that any of them reads.
        kept: which of these each of them reads, as factors 1 and 0.
    """

    reads: slice
    slots: Int[np.ndarray, " slot"]
    kept: Float[np.ndarray, "read slot"]


@dataclass(frozen=True)
class Reads:
    """Different inputs of some targets that read at the same time.

    Attributes:
        target: whose input each is, a place among the targets.
        parts: all of them, circuit by circuit.
    """

    target: Int[np.ndarray, " read"]
    parts: tuple[OneCircuitsReads, ...]

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class AttentionPlan:
    """What the attention of a layer computes.

    A row holds one query, key and value for every head. Heads do not look at each other, so that
    different heads of a row may belong to different circuits.

    Attributes:
        queries: the inputs of queries; targets are heads.
        keys_values: the inputs of keys and values; targets are first all key heads, then all value
            heads.
        query_of: which of `queries` is in each row; anything where a row has none.
        key_of: which of `keys_values`, likewise.
        value_of: which of `keys_values`, likewise.
        row: in which row each output is computed.
        head: of which head it is.
        slot: where it goes.
    """

    queries: Reads
    keys_values: Reads
    query_of: Int[np.ndarray, "row head"]
    key_of: Int[np.ndarray, "row kv_head"]
    value_of: Int[np.ndarray, "row kv_head"]
    row: Int[np.ndarray, " output"]
    head: Int[np.ndarray, " output"]
    slot: Int[np.ndarray, " output"]

    @property
    def n_rows(self) -> int:
        """How many rows there are; none if no head of the layer matters."""
        return len(self.query_of)


@dataclass(frozen=True)
class MlpPlan:
    """What the MLP of a layer computes: an output for each of its inputs.

    Attributes:
        reads: the inputs.
        slot: where each output goes.
    """

    reads: Reads
    slot: Int[np.ndarray, " read"]


@dataclass(frozen=True)
class Plan:
    """What a pass for several circuits computes.

    Attributes:
        n_slots: how many different outputs of sources there are.
        input_slot: where the output of `input` goes; None if no circuit uses it.
        attention: what the attention of every layer computes.
        mlp: what the MLP of every layer computes.
        logits: the inputs of the logits.
        logits_of: which of `logits` each circuit has; -1 if no edge leads to its logits.
    """

    n_slots: int
    input_slot: int | None
    attention: tuple[AttentionPlan, ...]
    mlp: tuple[MlpPlan, ...]
    logits: Reads
    logits_of: Int[np.ndarray, " circuit"]

    @property
    def most_reads(self) -> int:
        """The largest number of inputs that are put together at a time."""
        return max(
            len(self.logits),
            *(len(plan.queries) + len(plan.keys_values) for plan in self.attention),
            *(len(plan.reads) for plan in self.mlp),
        )


def plan_shared(kept: Bool[np.ndarray, "circuit edge"], shape: GraphShape) -> Plan:
    """Plan a pass in which every different node of some circuits is computed once.

    Args:
        kept: the circuits; edges in the order of `GraphShape.edges`.
        shape: the graph.
    """
    return _Planner(kept, shape).plan()


class _Planner:
    """Gives every node of every circuit the first circuit that has the same node, its owner."""

    def __init__(self, kept: Bool[np.ndarray, "circuit edge"], shape: GraphShape) -> None:
        self._shape, self._graph = shape, wiring(shape)
        self._kept = self._graph.leading_on(kept)
        self._needed = self._graph.nodes(self._kept)
        self._owner = np.full(self._needed.shape, _UNUSED)
        self._owner[:, 0] = _first_equal(np.zeros((len(kept), 1)), self._needed[:, 0])
        self._target_owner = [self._own(stage) for stage in self._graph.stages]
        owned = self._owner == np.arange(len(kept))[:, None]
        numbers = owned.ravel().cumsum().reshape(owned.shape) - 1
        self._n_slots = int(owned.sum())
        self._slot = np.where(
            self._needed, np.take_along_axis(numbers, self._owner.clip(0), 0), _UNUSED
        )

    def _own(self, stage: Stage) -> Int[np.ndarray, "circuit target"]:
        """The owners of a stage's targets, after which its readers' are known."""
        needed = stage.needed(self._needed[:, stage.readers])
        sources = np.where(stage.block(self._kept), self._owner[:, None, : stage.n_sources], -1)
        owner = np.stack(
            [_first_equal(sources[:, i], needed[:, i]) for i in range(stage.n_targets)], axis=1
        )
        for head, source in enumerate(range(stage.readers.start, stage.readers.stop)):
            ports = [head]
            if stage.n_shared:
                ports = [head, *self._key_and_value(head)]
            self._owner[:, source] = _first_equal(owner[:, ports], self._needed[:, source])
        return owner

    def _key_and_value(self, head: int) -> tuple[int, int]:
        """The places of a head's key and value among the targets of its layer."""
        shape = self._shape
        kv_head = head // (shape.n_heads // shape.n_kv_heads)
        return shape.n_heads + kv_head, shape.n_heads + shape.n_kv_heads + kv_head

    def plan(self) -> Plan:
        used = self._slot[:, 0].max(initial=_UNUSED)
        last = self._graph.stages[-1]
        logits, logits_of = self._reads(last, self._target_owner[-1], slice(None))
        living = last.block(self._kept).any((1, 2))
        return Plan(
            n_slots=self._n_slots,
            input_slot=int(used) if used != _UNUSED else None,
            attention=tuple(map(self._attention, range(self._shape.n_layers))),
            mlp=tuple(map(self._mlp, range(self._shape.n_layers))),
            logits=logits,
            logits_of=np.where(living, logits_of[:, 0], _UNUSED),
        )

    def _reads(
        self, stage: Stage, owner: Int[np.ndarray, "circuit target"], targets: slice
    ) -> tuple[Reads, Int[np.ndarray, "circuit some_target"]]:
        """The different inputs of some targets, and which of them every circuit has."""
        owner, block = owner[:, targets], stage.block(self._kept)[:, targets]
        owned = owner == np.arange(len(owner))[:, None]
        numbers = owned.ravel().cumsum().reshape(owned.shape) - 1
        parts, start = [], 0
        for circuit in np.flatnonzero(owned.any(1)):
            edges = block[circuit, owned[circuit]]
            used = np.flatnonzero(edges.any(0))
            reads = slice(start, start + len(edges))
            kept = edges[:, used].astype(np.float32)
            parts.append(OneCircuitsReads(reads, self._slot[circuit, used], kept))
            start = reads.stop
        number = np.where(owner >= 0, np.take_along_axis(numbers, owner.clip(0), 0), _UNUSED)
        return Reads(np.nonzero(owned)[1], tuple(parts)), number

    def _attention(self, layer: int) -> AttentionPlan:
        shape, stage = self._shape, self._graph.stages[2 * layer]
        owner = self._target_owner[2 * layer]
        queries, query = self._reads(stage, owner, slice(shape.n_heads))
        keys_values, key_value = self._reads(stage, owner, slice(shape.n_heads, None))
        key, value = np.split(key_value, 2, axis=1)
        n_shared = shape.n_heads // shape.n_kv_heads
        needed, owners = self._needed[:, stage.readers], self._owner[:, stage.readers]
        slots = self._slot[:, stage.readers]
        per_group, outputs = [], []
        for group in range(shape.n_kv_heads):
            heads = np.arange(group * n_shared, (group + 1) * n_shared)
            chosen = np.concatenate([query[:, heads], key[:, [group]], value[:, [group]]], axis=1)
            in_use = np.flatnonzero(needed[:, heads].any(1))
            rows, row = np.unique(chosen[in_use], axis=0, return_inverse=True)
            per_group.append(rows.clip(0))
            row_of = dict(zip(in_use.tolist(), row.ravel().tolist(), strict=True))
            for head in heads:
                own = np.flatnonzero(owners[:, head] == np.arange(len(owners)))
                outputs += [(row_of[c], head, slots[c, head]) for c in own.tolist()]
        n_rows = max(map(len, per_group))
        padded = np.zeros((n_rows, shape.n_kv_heads, n_shared + 2), dtype=np.int64)
        for group, rows in enumerate(per_group):
            padded[: len(rows), group] = rows
        output = np.array(outputs, dtype=np.int64).reshape(-1, 3)
        return AttentionPlan(
            queries,
            keys_values,
            query_of=padded[..., :n_shared].reshape(n_rows, shape.n_heads),
            key_of=padded[..., n_shared],
            value_of=padded[..., n_shared + 1],
            row=output[:, 0],
            head=output[:, 1],
            slot=output[:, 2],
        )

    def _mlp(self, layer: int) -> MlpPlan:
        stage, owner = self._graph.stages[2 * layer + 1], self._target_owner[2 * layer + 1]
        reads, _ = self._reads(stage, owner, slice(None))
        own = np.flatnonzero(owner[:, 0] == np.arange(len(owner)))
        return MlpPlan(reads, self._slot[own, stage.readers.start])


def _first_equal(
    codes: np.ndarray, needed: Bool[np.ndarray, " circuit"]
) -> Int[np.ndarray, " circuit"]:
    """The first of the needed circuits that has the same row; -1 for those that are not needed."""
    found = np.full(len(codes), _UNUSED)
    rows = np.flatnonzero(needed)
    if len(rows):
        _, first, inverse = np.unique(codes[rows], axis=0, return_index=True, return_inverse=True)
        found[rows] = rows[first[inverse.ravel()]]
    return found
