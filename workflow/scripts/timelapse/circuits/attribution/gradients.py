"""The second half of an edge score: the gradient of the measure at what every target reads.

It is the gradient before the target's norm. No split inputs are needed: the gradients at queries,
keys and values are taken back through their projections, head by head, and through the norm of the
attention. The MLP and the logits have their norm to themselves: there autograd goes all the way.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.runs import Runs, read_names
from timelapse.circuits.graph import GraphShape
from timelapse.models import hooks
from timelapse.models.norms import Norm


def target_gradients(
    bridge: TransformerBridge, shape: GraphShape, runs: Runs
) -> Iterator[Float[Tensor, "target batch position d_model"]]:
    """Gradients at the inputs of `shape.targets` in the clean run, in their order.

    Yields:
        Targets that have the same sources, together: of every layer the queries, keys and values,
        then the MLP; at last the logits. A group covers the last positions of the prompts: all
        from `runs.start`, or for the logits, which are read at the last position only, that one.
    """
    names = read_names(shape)
    found = torch.autograd.grad(runs.measure.sum(), [runs.read[name] for name in names])
    gradients = {
        name: gradient[:, runs.start :].to(runs.dtype)
        for name, gradient in zip(names, found, strict=True)
    }
    for layer in range(shape.n_layers):
        projected = torch.cat(
            [gradients[name(layer)] for name in (hooks.query, hooks.key, hooks.value)], dim=2
        )
        yield _before_attention(bridge, runs, layer, projected)
        yield gradients[hooks.mlp_norm_in(layer)][None]
    yield gradients[hooks.resid_post(shape.n_layers - 1)][None, :, -1:]


def _before_attention(
    bridge: TransformerBridge,
    runs: Runs,
    layer: int,
    projected: Float[Tensor, "batch position target d_head"],
) -> Float[Tensor, "target batch position d_model"]:
    """From gradients at queries, keys and values to those at the input of the attention's norm."""
    block = bridge.blocks[layer]
    weights = torch.cat([block.attn.W_Q, block.attn.W_K, block.attn.W_V]).detach().to(runs.dtype)
    return Norm.of(block.ln1, runs.dtype).pullback(
        torch.einsum("bpte,tde->tbpd", projected, weights),
        runs.read[hooks.attn_normalized(layer)][:, runs.start :].to(runs.dtype),
        runs.read[hooks.attn_scale(layer)][:, runs.start :].to(runs.dtype),
    )
