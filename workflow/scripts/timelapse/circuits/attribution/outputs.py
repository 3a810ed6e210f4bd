"""The first half of an edge score: how the output of every source differs when corrupted."""

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.runs import Runs
from timelapse.circuits.graph import GraphShape
from timelapse.models import hooks


def output_differences(
    bridge: TransformerBridge, shape: GraphShape, runs: Runs
) -> Float[Tensor, "source batch position d_model"]:
    """Corrupted less clean output of `shape.sources`, in their order, from `runs.start` on.

    A head's output is its z times its rows of the output projection. The bias of that projection
    belongs to no head and is the same in both runs.
    """
    entering = runs.difference(hooks.resid_pre(0))
    outputs = entering.new_empty(len(shape.sources), *entering.shape)
    outputs[0] = entering
    for layer in range(shape.n_layers):
        first = 1 + layer * (shape.n_heads + 1)
        mlp = first + shape.n_heads
        weight = bridge.blocks[layer].attn.W_O.detach().to(runs.dtype)
        outputs[first:mlp] = torch.einsum("bphe,hed->hbpd", runs.difference(hooks.z(layer)), weight)
        outputs[mlp] = runs.difference(hooks.mlp_out(layer))
    return outputs
