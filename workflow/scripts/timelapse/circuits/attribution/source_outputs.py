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


def difference(
    name: str, clean: Pass, corrupted: Pass, rows: slice = slice(None)
) -> Float[Tensor, "batch position *rest"]:
    """Corrupted minus clean activation of some prompts."""
    return corrupted[name][rows].detach().to(clean.dtype) - clean[name][rows].detach()


def output_differences(
    bridge: TransformerBridge,
    shape: GraphShape,
    clean: Pass,
    corrupted: Pass,
    rows: slice = slice(None),
    out: Float[Tensor, " number"] | None = None,
) -> Float[Tensor, "source some position d_model"]:
    """Corrupted minus clean output of `shape.sources`, in their order, for some prompts.

    In the last layer, whose outputs are read at the last position alone, they are zero at the
    others. They are written to the beginning of `out`, if there is one.
    """
    entering = difference(hooks.resid_pre(0), clean, corrupted, rows)
    if out is None:
        out = entering.new_empty(len(shape.sources) * entering.numel())
    outputs = out[: len(shape.sources) * entering.numel()].view(-1, *entering.shape)
    outputs[0] = entering
    for layer in range(shape.n_layers):
        first = 1 + layer * (shape.n_heads + 1)
        heads, mlp = outputs[first : first + shape.n_heads], outputs[first + shape.n_heads]
        place, read = heads.flatten(1, 2), slice(None)
        if layer == shape.n_layers - 1:
            heads.zero_()
            mlp.zero_()
            place, read = heads[:, :, -1], slice(-1, None)
        z = difference(hooks.z(layer), clean, corrupted, rows)
        project_heads(bridge, layer, z[:, read], out=place)
        mlp[:, read] = difference(hooks.mlp_out(layer), clean, corrupted, rows)[:, read]
    return outputs


def project_heads(
    bridge: TransformerBridge,
    layer: int,
    z: Float[Tensor, "batch position some_head d_head"],
    heads: slice = slice(None),
    out: Float[Tensor, "some_head batch_position d_model"] | None = None,
) -> Float[Tensor, "some_head batch_position d_model"]:
    """What differences of z are in the residual stream: a head's z times its output projection.

    The bias of that projection belongs to no head and is the same in all passes.
    """
    weight = bridge.blocks[layer].attn.W_O.detach()[heads].to(z.dtype)
    return torch.bmm(z.flatten(0, 1).transpose(0, 1), weight, out=out)
