"""Interventions on edges, one circuit at a time, through the bridge's own split inputs: an oracle.

Nothing here is shared with the library's masked forward pass.
"""

from collections.abc import Callable, Collection, Mapping

import torch
from circuits.oracles import everything_hooked, outputs
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape, Source, Target
from timelapse.models.prompts import Prompts

Ablated = Mapping[Source, Float[Tensor, "batch position d_model"]]
Edge = tuple[Source, Target]


def resampled(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> Ablated:
    """What every source writes in the corrupted run."""
    with everything_hooked(bridge):
        return outputs(bridge, prompts.corrupted[corruption], shape)


def circuit_difference(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    ablated: Ablated,
    kept: Collection[Edge],
) -> Float[Tensor, "batch"]:
    """The logit difference of each clean prompt with every edge ablated that is not kept.

    What a target reads is the running sum of its kept sources' present and its other sources'
    ablated outputs.
    """
    present: dict[Source, Tensor] = {}
    hooks: list[tuple[str, Callable[..., Tensor | None]]] = []

    def record(source: Source, head: int | None) -> Callable[..., None]:
        def hook_function(activation: Tensor, hook: object) -> None:
            present[source] = activation if head is None else activation[:, :, head]

        return hook_function

    def read(target: Target) -> Callable[..., Tensor]:
        def hook_function(activation: Tensor, hook: object) -> Tensor:
            changed = activation.clone()
            into = changed if target.head is None else changed[:, :, target.head]
            for source in shape.upstream(target):
                if (source, target) not in kept:
                    into += ablated[source] - present[source]
            return changed

        return hook_function

    hooks.append(("blocks.0.hook_resid_pre", record(Source("input"), None)))
    for source in shape.sources[1:]:
        if source.kind == "mlp":
            hooks.append((f"blocks.{source.layer}.hook_mlp_out", record(source, None)))
        else:
            name = f"blocks.{source.layer}.attn.hook_result"
            hooks.append((name, record(source, source.head)))
    for target in shape.targets:
        if target.kind == "logits":
            hooks.append((f"blocks.{shape.n_layers - 1}.hook_resid_post", read(target)))
        elif target.kind == "mlp":
            hooks.append((f"blocks.{target.layer}.hook_mlp_in", read(target)))
        else:
            name = f"blocks.{target.layer}.attn.hook_{target.kind}_input"
            hooks.append((name, read(target)))
    with everything_hooked(bridge), torch.no_grad(), bridge.hooks(fwd_hooks=hooks):
        logits = bridge(prompts.tokens)[:, -1]
    return logits.gather(1, prompts.answer[:, None])[:, 0] - logits.gather(1, prompts.foils).mean(1)
