"""Name movers: heads that attend from the last position to the answer and copy it, or suppress it.

Per prompt the score of a head is its attention from the last position to the mentions of the
answer, if what it writes from the last of them has the answer among the `COPIED` largest logits of
the whole vocabulary, and 0 if not: the mean is the attention that is copied (Wang et al. 2022,
"Interpretability in the wild", sections 3.1 and 3.4: attention to the name and copying score). The
written vector, the head's value at the mention through its part of the output projection, goes
through the final norm and the unembedding by itself. Wang et al. take the value that the stream
after the first MLP would have; here it is the value that the head has. Negative movers write the
opposite: their score is that of the vector with its sign changed.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import CLEAN, Activations, Need, Source
from timelapse.averages import RunningMean
from timelapse.models import hooks
from timelapse.models.prompts import Prompts
from timelapse.probes.head_roles.mentions import answer_mentions
from timelapse.probes.head_roles.roles import NAME_MOVER, NEGATIVE_MOVER

MOVER_ROLES = (NAME_MOVER, NEGATIVE_MOVER)
COPIED = 5


def needs(config: TransformerBridgeConfig) -> tuple[Need, ...]:
    """What `mover_scores` reads."""
    return tuple(
        need
        for layer in range(config.n_layers)
        for need in (Need(hooks.pattern(layer), "end"), Need(hooks.value(layer), "all"))
    )


@torch.no_grad()
def mover_scores(
    bridge: TransformerBridge, source: Source, prompts: Sequence[Prompts], batch_size: int
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
            read = source(batch, CLEAN)
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
    written = torch.einsum("bhe,hed->hbd", value, weight)
    return attention * torch.stack(
        [_writes(bridge, written, answer), _writes(bridge, -written, answer)]
    )


def _writes(
    bridge: TransformerBridge,
    written: Float[Tensor, "head batch d_model"],
    answer: Int[Tensor, "batch"],
) -> Bool[Tensor, "head batch"]:
    """Whether the answer is among the largest logits of what is written, head by head."""
    unembedding, bias = bridge.W_U.detach(), bridge.b_U.detach()
    normed = bridge.ln_final(written)
    found = []
    for of_head in normed:
        logits = of_head @ unembedding + bias
        found.append((logits > logits.gather(1, answer[:, None])).sum(1) < COPIED)
    return torch.stack(found)
