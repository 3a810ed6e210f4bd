"""Name movers, and the heads that steer their attention: S-inhibition.

Name movers attend from the last position to the answer and copy it, or suppress it. Per prompt the
score of a head is its attention from the last position to the mentions of the answer, if what it
writes from the last of them has the answer among the `COPIED` largest logits of the whole
vocabulary, and 0 if not: the mean is the attention that is copied (Wang et al. 2022,
"Interpretability in the wild", sections 3.1 and 3.4: attention to the name and copying score). The
written vector, the head's value at the mention through its part of the output projection, goes
through the final norm and the unembedding by itself. Wang et al. take the value that the stream
after the first MLP would have; here it is the value that the head has. Negative movers write the
opposite: their score is that of the vector with its sign changed. Attention below `ATTENDED` counts
as none, which spares unembedding what most heads would write.

S-inhibition heads turn the attention of the name movers to the answer, away from foils. The score
of one is what its output at the last position adds, through their queries alone, to their
attention score (before the softmax) for the mentions of the answer minus that for the mentions of
the foils: in Wang et al. 2022, "Interpretability in the wild", section 3.2, the direct path from
the head to the name movers' queries. The scale of the norm in between is frozen at each prompt's
own value; the effect is then linear in the head's output, and what the heads, MLPs, input and
biases below a name mover add makes up its difference. Mentions count equally, and so do the name
movers above the head.
"""

from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import Activations, ActivationSource, ActivationSpec
from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.norms import Norm
from timelapse.models.prompts import Prompts
from timelapse.probes.head_roles.repeated_tokens import answer_mentions, foil_mentions
from timelapse.probes.head_roles.role_definitions import NAME_MOVER, NEGATIVE_MOVER
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
            mentioned = mentions.any(1)
            if not mentioned.any():
                continue
            read = source(batch)
            layers = [
                _of_layer(bridge, layer, read, mentions, batch.answer)
                for layer in range(config.n_layers)
            ]
            means.add(torch.stack(layers, 1)[..., mentioned].flatten(0, 2))
    return means


def _of_layer(
    bridge: TransformerBridge,
    layer: int,
    read: Activations,
    mentions: Bool[Tensor, "batch position"],
    answer: Int[Tensor, " batch"],
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
    answer: Int[Tensor, " vector"],
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


Head = tuple[int, int]


def inhibition_scores(
    bridge: TransformerBridge,
    prompts: Sequence[Prompts],
    movers: Collection[Head],
    batch_size: int,
) -> RunningMean:
    """Measure the scores on the prompts that mention both their answer and a foil.

    Args:
        bridge: the model; parameters without gradients.
        prompts: buckets of prompts.
        movers: layer and number of the name movers.
        batch_size: prompts run at a time.

    Returns:
        Means over those prompts, a quantity for each layer and head in this order; NaN for heads
        that have no name mover above them.
    """
    config = bridge.cfg
    means = RunningMean(config.n_layers * config.n_heads)
    if not movers:
        return means
    by_layer: dict[int, list[int]] = {}
    for layer, head in sorted(movers):
        by_layer.setdefault(layer, []).append(head)
    for bucket in prompts:
        for batch in bucket.to(config.device).batches(batch_size):
            both = answer_mentions(batch).any(1) & foil_mentions(batch).any(1)
            if both.any():
                means.add(_effects(bridge, batch, by_layer)[:, both])
    return means


def _effects(
    bridge: TransformerBridge, prompts: Prompts, movers: Mapping[int, Sequence[int]]
) -> Float[Tensor, "layer_and_head batch"]:
    """Mean effect of every head on the movers above it, prompt by prompt."""
    config = bridge.cfg
    recorder = Recorder()
    below = range(max(movers))
    observed = [recorder.keep(hooks.z(layer)) for layer in below]
    for layer in movers:
        observed += [
            recorder.root(hooks.query(layer)),
            recorder.tap(hooks.scores(layer)),
            recorder.keep(hooks.attn_scale(layer)),
        ]
    with torch.enable_grad(), bridge.hooks(fwd_hooks=observed):
        last_logits(bridge, prompts.tokens)
    wanted = _share(answer_mentions(prompts)) - _share(foil_mentions(prompts))
    directions = {
        layer: _directions(bridge, recorder, layer, heads, wanted)
        for layer, heads in movers.items()
    }
    effects = wanted.new_full((config.n_layers, config.n_heads, len(prompts)), torch.nan)
    for layer in below:
        weight = bridge.blocks[layer].attn.W_O.detach()
        output = torch.einsum("bhe,hed->hbd", recorder[hooks.z(layer)][:, -1], weight)
        above = torch.cat([found for at, found in directions.items() if at > layer])
        effects[layer] = (output * above.mean(0)).sum(-1)
    return effects.flatten(0, 1)


def _share(mentions: Bool[Tensor, "batch position"]) -> Float[Tensor, "batch position"]:
    """Weights that take the mean over mentions; 0 everywhere without one."""
    return mentions.float() / mentions.sum(1, keepdim=True).clamp(min=1)


def _directions(
    bridge: TransformerBridge,
    recorder: Recorder,
    layer: int,
    heads: Sequence[int],
    wanted: Float[Tensor, "batch position"],
) -> Float[Tensor, "mover batch d_model"]:
    """What the stream at the last position is multiplied with in the movers' score difference."""
    scores = recorder[hooks.scores(layer)][:, heads, -1]
    difference = torch.where(wanted[:, None] == 0, 0, scores * wanted[:, None].to(scores.dtype))
    (gradient,) = torch.autograd.grad(
        difference.sum(), recorder[hooks.query(layer)], retain_graph=True
    )
    attention = bridge.blocks[layer].attn
    weight = attention.W_Q.detach()[heads]
    pulled = torch.einsum("bme,mde->mbd", gradient[:, -1, heads], weight)
    norm = Norm.of(bridge.blocks[layer].ln1, pulled.dtype)
    return norm.frozen_pullback(pulled, recorder[hooks.attn_scale(layer)][:, -1])
