"""The first half of an edge score: how the output of every source differs when corrupted."""

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.passes import Pass
from timelapse.circuits.graph import GraphShape
from timelapse.models import hooks


def written_names(shape: GraphShape) -> list[str]:
    """The activations that hold what the sources write."""
    layers = range(shape.n_layers)
    return [hooks.resid_pre(0), *map(hooks.z, layers), *map(hooks.mlp_out, layers)]


def difference(name: str, clean: Pass, corrupted: Pass) -> Float[Tensor, "batch position *rest"]:
    """Corrupted less clean activation."""
    return corrupted[name].detach().to(clean.dtype) - clean[name].detach()


def output_differences(
    bridge: TransformerBridge, shape: GraphShape, clean: Pass, corrupted: Pass
) -> Float[Tensor, "source batch position d_model"]:
    """Corrupted less clean output of `shape.sources`, in their order.

    A head's output is its z times its rows of the output projection. The bias of that projection
    belongs to no head and is the same in both passes.
    """
    entering = difference(hooks.resid_pre(0), clean, corrupted)
    outputs = entering.new_empty(len(shape.sources), *entering.shape)
    outputs[0] = entering
    for layer in range(shape.n_layers):
        first = 1 + layer * (shape.n_heads + 1)
        mlp = first + shape.n_heads
        torch.bmm(
            difference(hooks.z(layer), clean, corrupted).flatten(0, 1).transpose(0, 1),
            bridge.blocks[layer].attn.W_O.detach().to(clean.dtype),
            out=outputs[first:mlp].flatten(1, 2),
        )
        outputs[mlp] = difference(hooks.mlp_out(layer), clean, corrupted)
    return outputs
