"""Name movers: heads that attend from the last position to the answer and copy it, or suppress it.

Per prompt the score of a head is its attention from the last position to the mentions of the
answer, if what it writes from the last of them has the answer among the `COPIED` largest logits of
the whole vocabulary, and 0 if not: the mean is the attention that is copied (Wang et al. 2022,
"Interpretability in the wild", sections 3.1 and 3.4: attention to the name and copying score). The
written vector, the head's value at the mention through its part of the output projection, goes
through the final norm and the unembedding by itself. Wang et al. take the value that the stream
after the first MLP would have; here it is the value that the head has. Negative movers write the
opposite: their score is that of the vector with its sign changed. Attention below `ATTENDED` counts
as none, which spares unembedding what most heads would write.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import Activations, ActivationSource, ActivationSpec
from timelapse.models import hooks
from timelapse.models.prompts import Prompts
from timelapse.probes.head_roles.repeated_tokens import answer_mentions
from timelapse.probes.head_roles.roles import NAME_MOVER, NEGATIVE_MOVER
from timelapse.running_mean import RunningMean

MOVER_ROLES = (NAME_MOVER, NEGATIVE_MOVER)
COPIED = 5
ATTENDED = 0.01
AT_ONCE = 256
"""Vectors that are unembedded together."""


def needs(config: TransformerBridgeConfig) -> tuple[ActivationSpec, ...]:
    """What `mover_scores` reads."""
    return tuple(
        need
        for layer in range(config.n_layers)
        for need in (
            ActivationSpec(hooks.pattern(layer), "end"),
            ActivationSpec(hooks.value(layer), "all"),
        )
    )


@torch.no_grad()
def mover_scores(
    bridge: TransformerBridge, source: ActivationSource, prompts: Sequence[Prompts], batch_size: int
) -> RunningMean:
    """Measure the scores of `MOVER_ROLES` on the prompts that mention their answer.

    Returns:
        Means over those prompts, a quantity for each role, layer and head in this order.
    """
    config = bridge.cfg
    means = RunningMean(len(MOVER_ROLES) * config.n_layers * config.n_heads)
    for bucket in prompts:
        for batch in bucket.to(config.device).batches(batch_size):
            mentions = answer_mentions(batch)
            there = mentions.any(1)
            if not there.any():
                continue
            read = source(batch)
            layers = [
                _of_layer(bridge, layer, read, mentions, batch.answer)
                for layer in range(config.n_layers)
            ]
            means.add(torch.stack(layers, 1)[..., there].flatten(0, 2))
    return means


def _of_layer(
    bridge: TransformerBridge,
    layer: int,
    read: Activations,
    mentions: Bool[Tensor, "batch position"],
    answer: Int[Tensor, "batch"],
) -> Float[Tensor, "role head batch"]:
    """The scores of a layer's heads; without meaning where there is no mention."""
    attention = read[hooks.pattern(layer)][:, :, -1].float()
    attention = (attention * mentions[:, None]).sum(-1).T
    position = torch.arange(mentions.shape[1], device=mentions.device)
    last = (position * mentions).argmax(1)
    value = read[hooks.value(layer)][torch.arange(len(last), device=last.device), last]
    weight = bridge.blocks[layer].attn.W_O.detach()
    value = value.to(weight.dtype).repeat_interleave(len(weight) // value.shape[1], dim=1)
    heads, rows = (attention >= ATTENDED).nonzero(as_tuple=True)
    written = torch.einsum("ne,ned->nd", value[rows, heads], weight[heads])
    scores = attention.new_zeros(len(MOVER_ROLES), *attention.shape)
    scores[:, heads, rows] = attention[heads, rows] * _writes(bridge, written, answer[rows])
    return scores


def _writes(
    bridge: TransformerBridge,
    written: Float[Tensor, "vector d_model"],
    answer: Int[Tensor, "vector"],
) -> Bool[Tensor, "role vector"]:
    """Whether the answer is among the largest logits of a vector, and of its opposite.

    But for its bias a norm turns the opposite vector into the opposite output.
    """
    bias = _unembedded(bridge, written.new_zeros(1, written.shape[1]))
    found = [torch.zeros(len(MOVER_ROLES), 0, dtype=torch.bool, device=written.device)]
    for vectors, tokens in zip(written.split(AT_ONCE), answer.split(AT_ONCE), strict=True):
        logits = _unembedded(bridge, vectors)
        both = torch.stack([logits, 2 * bias - logits])
        own = both.gather(2, tokens[None, :, None].expand(len(both), -1, 1))
        found.append((both > own).sum(2) < COPIED)
    return torch.cat(found, dim=1)


def _unembedded(
    bridge: TransformerBridge, vectors: Float[Tensor, "vector d_model"]
) -> Float[Tensor, "vector vocabulary"]:
    normed = bridge.ln_final(vectors[None])[0]
    return normed @ bridge.W_U.detach() + bridge.b_U.detach()
