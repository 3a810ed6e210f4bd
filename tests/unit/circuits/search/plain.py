"""The searches as plain loops, one circuit and one edge or node at a time: oracles.

Circuits are measured through the bridge's split inputs, nodes by hooks on what they write; nothing
is shared with the library's pass of ablated edges, nor with its guesses.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial

import torch
from circuits.ablation_oracles import Written, ablated_run, written_when_corrupted
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape, Source, Target
from timelapse.models.prompts import Prompts

Edge = tuple[Source, Target]
OfEdges = Callable[[Collection[Edge]], float]
OfNodes = Callable[[Collection[Source]], float]


def written_when_ablated(
    kind: str,
    bridge: TransformerBridge,
    shape: GraphShape,
    buckets: Sequence[Prompts],
    corruption: str,
) -> list[Written]:
    """What the sources write when ablated, bucket by bucket."""
    references = []
    for prompts in buckets:
        written = written_when_corrupted(bridge, shape, prompts, corruption)
        if kind == "mean":
            written = {
                source: output.mean(0, keepdim=True).expand_as(output)
                for source, output in written.items()
            }
        if kind == "zero":
            written = {source: torch.zeros_like(output) for source, output in written.items()}
        references.append(written)
    return references


def edge_circuits(
    bridge: TransformerBridge,
    shape: GraphShape,
    buckets: Sequence[Prompts],
    references: Sequence[Written],
) -> OfEdges:
    """Measures circuits: the mean logit difference over all prompts."""

    def measure(kept: Collection[Edge]) -> float:
        mask = [edge in kept for edge in shape.edges]
        found = [
            ablated_run(bridge, shape, prompts, written, mask)
            for prompts, written in zip(buckets, references, strict=True)
        ]
        return torch.cat(found).mean().item()

    return measure


def node_circuits(
    bridge: TransformerBridge,
    shape: GraphShape,
    buckets: Sequence[Prompts],
    corruption: str,
    kind: str,
) -> OfNodes:
    """Measures sets of nodes: the others' z, or what their MLP writes, is replaced by a hook."""

    def measure(nodes: Collection[Source]) -> float:
        found = []
        for prompts in buckets:
            with torch.no_grad():
                _, cache = bridge.run_with_cache(prompts.corrupted[corruption])
            hooks = []
            for source in shape.sources[1:]:
                if source in nodes:
                    continue
                part = "hook_mlp_out" if source.kind == "mlp" else "attn.hook_z"
                name = f"blocks.{source.layer}.{part}"
                instead = cache[name]
                if kind == "mean":
                    instead = instead.mean(0, keepdim=True)
                hooks.append((name, partial(_replace, source.head, instead * (kind != "zero"))))
            with torch.no_grad(), bridge.hooks(fwd_hooks=hooks):
                logits = bridge(prompts.tokens)[:, -1]
            answer = logits.gather(1, prompts.answer[:, None])[:, 0]
            found.append(answer - logits.gather(1, prompts.foils).mean(1))
        return torch.cat(found).mean().item()

    return measure


def _replace(head: int | None, instead: Tensor, activation: Tensor, hook: object) -> Tensor:
    replaced = activation.clone()
    if head is None:
        replaced[:] = instead
    else:
        replaced[:, :, head] = instead[:, :, head]
    return replaced


def plain_acdc(measure: OfEdges, shape: GraphShape, threshold: float) -> set[Edge]:
    """The edges that ACDC keeps."""
    kept = set(shape.edges)
    now = measure(kept)
    limit = threshold * abs(now - measure(()))
    for target in reversed(shape.targets):
        for source in reversed(shape.upstream(target)):
            without = measure(kept - {(source, target)})
            if abs(without - now) < limit:
                kept.remove((source, target))
                now = without
    return kept


def plain_node_ablation(
    measure: OfNodes, shape: GraphShape, keep: float
) -> tuple[set[Source], list[int]]:
    """The nodes that are left beside the input, and how many each sweep but the last dropped."""
    left = list(shape.sources[1:])
    full = measure(left)
    dropped = []
    while True:
        for step in (-1, 1):
            before = len(left)
            for node in left[::step]:
                without = [other for other in left if other != node]
                if measure(without) / full >= keep:
                    left = without
            if len(left) == before:
                return set(left), dropped
            dropped.append(before - len(left))
