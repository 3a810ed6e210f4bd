"""Slow, independent ways to a circuit's logit difference: nothing is shared with the kernel."""

from collections.abc import Callable, Mapping, Sequence

import torch
from circuits.oracles import _everything_hooked, _logit_difference, _name, _outputs
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools.analysis.attribution_patching import (
    EdgeAttributionConfig,
    FaithfulnessConfig,
    attribution_patch,
    faithfulness,
)

from timelapse.circuits.graph import GraphShape, Source, Target
from timelapse.models.prompts import Prompts

Edge = tuple[str, str]
Written = Mapping[Source, Tensor]


def written_when_corrupted(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> Written:
    """What the sources write in the corrupted run."""
    with _everything_hooked(bridge):
        return _outputs(bridge, prompts.corrupted[corruption], shape)


def ablated_run(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    ablated: Written,
    kept: Sequence[bool],
) -> Tensor:
    """The logit differences of clean prompts with every edge that is not kept swapped by itself."""
    logits = ablated_logits(bridge, shape, prompts, ablated, kept)[:, None]
    rows = range(len(prompts))
    return torch.stack([_logit_difference(prompts, row)(logits[row : row + 1]) for row in rows])


def ablated_logits(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    ablated: Written,
    kept: Sequence[bool],
) -> Tensor:
    """The last logits of clean prompts with every edge that is not kept swapped by itself.

    What the source of such an edge has just written is taken off what its target reads, and what it
    writes when ablated is put there.
    """
    live: dict[Source, Tensor] = {}
    watchers = [("blocks.0.hook_resid_pre", _watch(live, [Source("input")]))]
    for layer in range(shape.n_layers):
        heads = [Source("head", layer, head) for head in range(shape.n_heads)]
        watchers.append((f"blocks.{layer}.attn.hook_result", _watch(live, heads)))
        watchers.append((f"blocks.{layer}.hook_mlp_out", _watch(live, [Source("mlp", layer)])))
    swaps = [
        _swap(shape, target, source, live, ablated)
        for (source, target), is_kept in zip(shape.edges, kept, strict=True)
        if not is_kept
    ]
    hooked = bridge.hooks(fwd_hooks=[*watchers, *swaps])
    with torch.no_grad(), _everything_hooked(bridge), hooked:
        return bridge(prompts.tokens)[:, -1]


def _watch(live: dict[Source, Tensor], sources: Sequence[Source]) -> Callable[..., None]:
    def record(activation: Tensor, hook: object) -> None:
        parts = [activation] if sources[0].head is None else activation.unbind(2)
        for source, part in zip(sources, parts, strict=True):
            live[source] = part.clone()

    return record


def _swap(
    shape: GraphShape,
    target: Target,
    source: Source,
    live: Mapping[Source, Tensor],
    ablated: Written,
) -> tuple[str, Callable[..., Tensor]]:
    def swap(activation: Tensor, hook: object) -> Tensor:
        change = ablated[source] - live[source]
        swapped = activation.clone()
        if target.head is None:
            return swapped + change
        swapped[:, :, target.head] += change
        return swapped

    if target.kind == "logits":
        return f"blocks.{shape.n_layers - 1}.hook_resid_post", swap
    if target.kind == "mlp":
        return f"blocks.{target.layer}.hook_mlp_in", swap
    return f"blocks.{target.layer}.attn.hook_{target.kind}_input", swap


def transformer_lens_faithfulness(
    bridge: TransformerBridge,
    prompts: Prompts,
    corruption: str,
    circuit: set[Edge],
    mean_tokens: Tensor | None = None,
) -> list[float]:
    """Share of the clean-corrupted difference that a circuit recovers, prompt by prompt."""
    recovered = []
    for row in range(len(prompts)):
        clean = prompts.tokens[row : row + 1]
        corrupt = prompts.corrupted[corruption][row : row + 1]
        bridge.requires_grad_(True)
        graph = attribution_patch(
            bridge,
            clean=clean,
            corrupt=corrupt,
            metric_fn=_logit_difference(prompts, row),
            config=EdgeAttributionConfig(granularity="edge"),
        ).edge_scores
        bridge.requires_grad_(False)
        found = faithfulness(
            bridge,
            clean,
            corrupt,
            _logit_difference(prompts, row),
            [edge for edge in graph if (_name(edge[0]), _name(edge[1])) in circuit],
            FaithfulnessConfig("corrupt" if mean_tokens is None else "mean"),
            mean_tokens=mean_tokens,
        )
        recovered.append(found.recovered)
    return recovered
