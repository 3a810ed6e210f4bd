"""S-inhibition: heads that turn the attention of the name movers to the answer, away from foils.

The score of a head is what its output at the last position adds, through the name movers' queries
alone, to their attention score (before the softmax) for the mentions of the answer less that for
the mentions of the foils: in Wang et al. 2022, "Interpretability in the wild", section 3.2, the
direct path from the head to the name movers' queries. The scale of the norm in between is frozen at
each prompt's own value; the effect is then linear in the head's output, and what the heads, MLPs,
input and biases below a name mover add makes up its difference. Mentions count equally, and so do
the name movers above the head.
"""

from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models import hooks
from timelapse.models.hooks import Recorder
from timelapse.models.metric_values import last_logits
from timelapse.models.norms import Norm
from timelapse.models.prompts import Prompts
from timelapse.probes.head_roles.repeated_tokens import answer_mentions, foil_mentions
from timelapse.running_mean import RunningMean

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
            there = answer_mentions(batch).any(1) & foil_mentions(batch).any(1)
            if there.any():
                means.add(_effects(bridge, batch, by_layer)[:, there])
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
