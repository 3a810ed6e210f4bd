"""Where the logit difference comes from: the residual stream, its layers and its heads.

The scale of the final norm is frozen at each prompt's own value. What is left of the readout is a
direction in the residual stream: the metric's, for the logit difference the answer's unembedding
minus the mean of the foils', taken back through the norm's weight and centring. A contribution is
the product of a component's output at the last position with that direction. The biases of the norm
and of the unembedding belong to no component: the last value of the stream plus `readout_constant`
is the metric. It is direct logit attribution (Elhage et al. 2021, "A mathematical framework for
transformer circuits"), for the stream as it grows, for layers and for heads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import ActivationSource, ActivationSpec
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.metric import LOGIT_DIFF, Metric
from timelapse.models.norms import Norm
from timelapse.models.prompts import Prompts
from timelapse.running_mean import RunningMean
from timelapse.tables import LOGIT_DIFF as SCHEMA
from timelapse.tables import without_step


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
    """All rows of the table in their order.

    Args:
        n_layers: of the model.
        n_heads: in each layer.
        parallel: whether attention and MLP run in parallel: such blocks have no middle.
    """
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
    bridge: TransformerBridge,
    source: ActivationSource,
    prompts: Sequence[Prompts],
    batch_size: int,
    metric: Metric = LOGIT_DIFF,
) -> pa.Table:
    """Decompose the logit difference, or another linear metric, three ways.

    `layer` adds up to the last value of `stream`; the heads of a layer with its bias (that of the
    attention's output projection) add up to the attention's value in `layer`.

    Args:
        bridge: the model; its weights as they are or in compatibility mode.
        source: gives its activations, see `needs`.
        prompts: buckets of prompts; every prompt has the same weight.
        batch_size: prompts taken at a time.
        metric: what is decomposed, linear in the logits.

    Returns:
        `tables.LOGIT_DIFF` without `step`: means over all prompts, in the metric's unit.

    Raises:
        UserError: the metric is not linear, the model's logits are not the unembedded final norm
            of its stream, or an attention is not the sum of its heads.
    """
    metric.check_linear("the logit_diff probe")
    config = bridge.cfg
    rows = components(config.n_layers, config.n_heads, bool(config.parallel_attn_mlp))
    values = RunningMean(len(rows))
    for bucket in prompts:
        for batch in bucket.to(config.device).batches(batch_size):
            values.add(_contributions(bridge, source, batch, metric))
    return pa.table(
        {
            "decomposition": [row.decomposition for row in rows],
            "component": [row.name for row in rows],
            "layer": [row.layer for row in rows],
            "head": [row.head for row in rows],
            "value": values.mean.float().numpy(),
            "std_error": values.std_error.float().numpy(),
        },
        schema=without_step(SCHEMA),
    )


@torch.no_grad()
def _contributions(
    bridge: TransformerBridge, source: ActivationSource, prompts: Prompts, metric: Metric
) -> Float[Tensor, "component batch"]:
    """What every component adds to each prompt's metric."""
    recorded = source(prompts)
    logits = recorded[hooks.LOGITS]
    measured = metric.value(logits[:, -1], prompts.answer, prompts.foils)
    dtype = measured.dtype
    last = {name: activation[:, -1].to(dtype) for name, activation in recorded.items()}
    readout = metric.direction(bridge, prompts.answer, prompts.foils).to(dtype)
    direction = Norm.of(bridge.ln_final, dtype).frozen_pullback(readout, last[hooks.FINAL_SCALE])
    by_stream = torch.stack([(last[name] * direction).sum(-1) for name in _stream(bridge.cfg)])
    by_layer = torch.stack([(last[name] * direction).sum(-1) for name in _outputs(bridge.cfg)])
    by_head = torch.stack(
        [_heads(bridge, layer, last, direction) for layer in range(bridge.cfg.n_layers)]
    )
    rounding = 64 * torch.finfo(source.dtype).eps * (1 + by_layer.abs().sum(0))
    if (
        (by_stream[-1] + readout_constant(bridge, prompts, metric) - measured).abs() > rounding
    ).any():
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


def readout_constant(
    bridge: TransformerBridge, prompts: Prompts, metric: Metric = LOGIT_DIFF
) -> Float[Tensor, " batch"]:
    """What the biases of the final norm and the unembedding add to a linear metric, per prompt."""
    dtype = torch.promote_types(bridge.W_U.dtype, torch.float32)
    constant = metric.offset(bridge, prompts.answer, prompts.foils)
    from_norm = Norm.of(bridge.ln_final, dtype).bias
    if from_norm is None:
        return constant
    return constant + metric.direction(bridge, prompts.answer, prompts.foils) @ from_norm


def _heads(
    bridge: TransformerBridge,
    layer: int,
    last: Mapping[str, Float[Tensor, " batch *rest"]],
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
