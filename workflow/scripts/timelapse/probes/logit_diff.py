"""Where the logit difference comes from: the residual stream, its layers and its heads.

The scale of the final norm is frozen at each prompt's own value. What is left of the readout is a
direction in the residual stream: the answer's unembedding less the mean of the foils', taken back
through the norm's weight and centring. A contribution is the product of a component's output at the
last position with that direction. The biases of the norm and of the unembedding belong to no
component: the last value of the stream plus `readout_constant` is the logit difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import ActivationSpec, Source
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.metric_values import logit_difference
from timelapse.models.norms import Norm
from timelapse.models.prompts import Prompts
from timelapse.running_mean import RunningMean
from timelapse.tables import LOGIT_DIFF


@dataclass(frozen=True)
class Component:
    """A row of the table: part of a decomposition.

    Attributes:
        decomposition: `stream` (what has been added up so far), `layer` or `head`.
        name: `input`, `mid0`, `pre1`, ... `final`; `input`, `a0`, `m0`, ...; `a0.h0`, ...
            `a0.bias`.
        layer: where on the model's depth; n_layers is the end, .5 between attention and MLP.
        head: the number of the head, if it is one.
    """

    decomposition: str
    name: str
    layer: float
    head: int | None = None


def components(n_layers: int, n_heads: int, parallel: bool) -> tuple[Component, ...]:
    """All rows in their order; blocks whose attention and MLP run in parallel have no middle."""
    layers = range(n_layers)
    return (
        Component("stream", "input", 0.0),
        *(
            component
            for layer in layers
            for component in (
                *(() if parallel else (Component("stream", f"mid{layer}", layer + 0.5),)),
                Component("stream", f"pre{layer + 1}", layer + 1.0)
                if layer + 1 < n_layers
                else Component("stream", "final", float(n_layers)),
            )
        ),
        Component("layer", "input", 0.0),
        *(Component("layer", f"{kind}{layer}", float(layer)) for layer in layers for kind in "am"),
        *(
            component
            for layer in layers
            for component in (
                *(
                    Component("head", f"a{layer}.h{head}", float(layer), head)
                    for head in range(n_heads)
                ),
                Component("head", f"a{layer}.bias", float(layer)),
            )
        ),
    )


def needs(config: TransformerBridgeConfig) -> list[ActivationSpec]:
    """The activations that the decomposition reads, all at the last position."""
    names = {*_stream(config), *_outputs(config), *map(hooks.z, range(config.n_layers))}
    return sorted(ActivationSpec(name, "end") for name in {*names, hooks.FINAL_SCALE, hooks.LOGITS})


def logit_diff(
    bridge: TransformerBridge, source: Source, prompts: Sequence[Prompts], batch_size: int
) -> pa.Table:
    """Decompose the logit difference of the answer three ways: means over all prompts.

    `layer` adds up to the last value of `stream`; the heads of a layer with its bias (that of the
    attention's output projection) add up to the attention's value in `layer`.

    Args:
        bridge: the model; its weights as they are or in compatibility mode.
        source: gives its activations, see `needs`.
        prompts: buckets of prompts; every prompt has the same weight.
        batch_size: prompts taken at a time.

    Returns:
        `tables.LOGIT_DIFF` without `step`.

    Raises:
        UserError: the model's logits are not the final norm and the unembedding of its stream, or
            an attention is not the sum of its heads.
    """
    config = bridge.cfg
    rows = components(config.n_layers, config.n_heads, bool(config.parallel_attn_mlp))
    values = RunningMean(len(rows))
    for bucket in prompts:
        for batch in bucket.to(config.device).batches(batch_size):
            values.add(_contributions(bridge, source, batch))
    return pa.table(
        {
            "decomposition": [row.decomposition for row in rows],
            "component": [row.name for row in rows],
            "layer": [row.layer for row in rows],
            "head": [row.head for row in rows],
            "value": values.mean.float().numpy(),
            "std_error": values.std_error.float().numpy(),
        },
        schema=LOGIT_DIFF.remove(LOGIT_DIFF.get_field_index("step")),
    )


@torch.no_grad()
def _contributions(
    bridge: TransformerBridge, source: Source, prompts: Prompts
) -> Float[Tensor, "component batch"]:
    """What every component adds to each prompt's logit difference."""
    recorded = source(prompts)
    logits = recorded[hooks.LOGITS]
    measured = logit_difference(logits[:, -1], prompts.answer, prompts.foils)
    dtype = measured.dtype
    last = {name: activation[:, -1].to(dtype) for name, activation in recorded.items()}
    readout = _readout(bridge, prompts, dtype)
    direction = Norm.of(bridge.ln_final, dtype).frozen_pullback(readout, last[hooks.FINAL_SCALE])
    by_stream = torch.stack([(last[name] * direction).sum(-1) for name in _stream(bridge.cfg)])
    by_layer = torch.stack([(last[name] * direction).sum(-1) for name in _outputs(bridge.cfg)])
    by_head = torch.stack(
        [_heads(bridge, layer, last, direction) for layer in range(bridge.cfg.n_layers)]
    )
    rounding = 64 * torch.finfo(source.dtype).eps * (1 + by_layer.abs().sum(0))
    if ((by_stream[-1] + readout_constant(bridge, prompts) - measured).abs() > rounding).any():
        raise _refusal(bridge, "its logits are not the unembedded final norm of its stream")
    if ((by_head.sum(1) - by_layer[1::2]).abs() > rounding).any():
        raise _refusal(bridge, "an attention's output is not the sum of its heads and a bias")
    return torch.cat([by_stream, by_layer, by_head.flatten(0, 1)])


def _stream(config: TransformerBridgeConfig) -> list[str]:
    """The residual stream wherever something has been added to it."""
    names = [hooks.resid_pre(0)]
    for layer in range(config.n_layers):
        if not config.parallel_attn_mlp:
            names.append(hooks.resid_mid(layer))
        names.append(hooks.resid_post(layer))
    return names


def _outputs(config: TransformerBridgeConfig) -> list[str]:
    """What is added to the residual stream."""
    layers = range(config.n_layers)
    added = [name(layer) for layer in layers for name in (hooks.attn_out, hooks.mlp_out)]
    return [hooks.resid_pre(0), *added]


def readout_constant(bridge: TransformerBridge, prompts: Prompts) -> Float[Tensor, "batch"]:
    """What the biases of the final norm and the unembedding add to the logit difference."""
    dtype = torch.promote_types(bridge.W_U.dtype, torch.float32)
    bias = bridge.b_U.to(dtype)
    constant = bias[prompts.answer] - bias[prompts.foils].mean(-1)
    from_norm = Norm.of(bridge.ln_final, dtype).bias
    if from_norm is None:
        return constant
    return constant + _readout(bridge, prompts, dtype) @ from_norm


def _readout(
    bridge: TransformerBridge, prompts: Prompts, dtype: torch.dtype
) -> Float[Tensor, "batch d_model"]:
    """The answer's unembedding less the mean of the foils'."""
    unembedding = bridge.W_U.detach().T
    answer, foils = unembedding[prompts.answer].to(dtype), unembedding[prompts.foils].to(dtype)
    return answer - foils.mean(1)


def _heads(
    bridge: TransformerBridge,
    layer: int,
    last: Mapping[str, Float[Tensor, "batch *rest"]],
    direction: Float[Tensor, "batch d_model"],
) -> Float[Tensor, "head_or_bias batch"]:
    """The contributions of a layer's heads, then that of its output bias."""
    attention = bridge.blocks[layer].attn
    weight = attention.W_O.detach().to(direction.dtype)
    heads = torch.einsum("bhe,hed,bd->hb", last[hooks.z(layer)], weight, direction)
    bias = attention.b_O
    if bias is None:
        return torch.cat([heads, heads.new_zeros(1, len(direction))])
    return torch.cat([heads, (direction @ bias.detach().to(direction.dtype))[None]])


def _refusal(bridge: TransformerBridge, problem: str) -> UserError:
    return UserError(
        bridge.cfg.model_name, "", problem, "Leave the logit_diff probe out of this model's study"
    )
