"""What every source writes when its edges are ablated: the reference activations.

`resample`: what it writes in the corrupted run of the same prompt (interchange ablation).
`mean`: the mean of that over corrupted prompts of the same length, position by position.
`zero`: nothing; what belongs to no source, the biases of the attentions' output projections, stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.block_calls import BlockCalls
from timelapse.circuits.methods import AblationKind
from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.prefix_cache import Prefix
from timelapse.models.prompts import Prompts

_NO_PREFIX = Prefix(0, ())


@dataclass(frozen=True)
class ReferenceActivations:
    """What ablated edges carry for some prompts.

    Attributes:
        prefix: the first tokens, at which all activations are those of the clean run.
        activations: by the hook's name what the sources write (the stream before the first block,
            the heads' z, the MLPs' outputs) and the residual stream wherever a target reads it, at
            the positions after the prefix. One row for each prompt, or one for them all.
        logits: what the model makes of the end of that stream, at the last position.
        calls: how the model calls its blocks for these positions.
    """

    prefix: Prefix
    activations: Mapping[str, Float[Tensor, "#batch position *rest"]]
    logits: Float[Tensor, "#batch vocabulary"]
    calls: BlockCalls

    def __getitem__(self, name: str) -> Float[Tensor, "#batch position *rest"]:
        return self.activations[name]

    def of_rows(self, rows: slice) -> "ReferenceActivations":
        """Those of some of the prompts."""

        def cut(tensor: Tensor) -> Tensor:
            return tensor if len(tensor) == 1 else tensor[rows]

        return replace(
            self,
            prefix=Prefix(
                self.prefix.length,
                tuple((keys[rows], values[rows]) for keys, values in self.prefix.kept),
            ),
            activations={name: cut(tensor) for name, tensor in self.activations.items()},
            logits=cut(self.logits),
        )


def reference_batches(
    bridge: TransformerBridge,
    shape: GraphShape,
    bucket: Prompts,
    corruption: str,
    kind: AblationKind,
    batch_size: int,
) -> Iterator[tuple[Prompts, ReferenceActivations]]:
    """The prompts of one length in batches, each with its reference activations.

    The mean is over the corrupted prompts of the whole bucket: it takes a pass over them first.
    """
    bucket = bucket.to(bridge.cfg.device)
    if kind == "resample":
        for batch in bucket.batches(batch_size):
            yield batch, resample(bridge, shape, batch, corruption)
        return
    reference = (
        mean(bridge, shape, list(bucket.batches(batch_size)), corruption)
        if kind == "mean"
        else zero(bridge, shape, bucket)
    )
    for batch in bucket.batches(batch_size):
        yield batch, reference


@torch.no_grad()
def resample(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> ReferenceActivations:
    """The activations of the corrupted run of the same prompts.

    Up to the first position at which any pair of prompts differs, it is the clean run.
    """
    tokens = prompts.corrupted[corruption]
    prefix = Prefix.shared(bridge, prompts.tokens, tokens)
    return ReferenceActivations(prefix, *_recorded(bridge, shape, tokens, prefix))


@torch.no_grad()
def mean(
    bridge: TransformerBridge, shape: GraphShape, batches: Sequence[Prompts], corruption: str
) -> ReferenceActivations:
    """The means over the corrupted runs of prompts of one length, position by position."""
    sums: dict[str, Tensor] = {}
    for batch in batches:
        recorded, _, calls = _recorded(bridge, shape, batch.corrupted[corruption], _NO_PREFIX)
        for name, activation in recorded.items():
            added = activation.sum(0, keepdim=True)
            sums[name] = sums[name] + added if name in sums else added
    count = sum(len(batch) for batch in batches)
    means = {name: total / count for name, total in sums.items()}
    logits = _unembedded(bridge, shape, means, batches[0])
    return ReferenceActivations(_NO_PREFIX, means, logits, calls)


@torch.no_grad()
def zero(bridge: TransformerBridge, shape: GraphShape, prompts: Prompts) -> ReferenceActivations:
    """Zeros for what the sources write, and the stream that is then left."""
    recorded, _, calls = _recorded(bridge, shape, prompts.tokens[:1], _NO_PREFIX)
    zeros = {name: torch.zeros_like(activation) for name, activation in recorded.items()}
    stream = zeros[hooks.resid_pre(0)].clone()
    for layer in range(shape.n_layers):
        zeros[hooks.resid_pre(layer)] = stream
        bias = bridge.blocks[layer].attn.b_O
        after_attention = stream if bias is None else stream + bias.detach().to(stream.dtype)
        zeros[hooks.mlp_norm_in(layer)] = stream if shape.parallel else after_attention
        stream = after_attention
    zeros[hooks.resid_post(shape.n_layers - 1)] = stream
    logits = _unembedded(bridge, shape, zeros, prompts)
    return ReferenceActivations(_NO_PREFIX, zeros, logits, calls)


def _recorded(
    bridge: TransformerBridge,
    shape: GraphShape,
    tokens: Int[Tensor, "batch position"],
    prefix: Prefix,
) -> tuple[
    dict[str, Float[Tensor, "batch some *rest"]], Float[Tensor, "batch vocabulary"], BlockCalls
]:
    """What reference activations consist of, in a run on some tokens, in float32 at least."""
    layers = range(shape.n_layers)
    kinds = (hooks.resid_pre, hooks.z, hooks.mlp_norm_in, hooks.mlp_out)
    names = [*(name(layer) for layer in layers for name in kinds), hooks.resid_post(layers[-1])]
    recorder, calls = Recorder(), BlockCalls()
    with calls.recording(bridge), bridge.hooks(fwd_hooks=[recorder.keep(name) for name in names]):
        logits = prefix.run(bridge, tokens)[:, -1]
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return {name: recorder[name].to(dtype) for name in names}, logits, calls


def _unembedded(
    bridge: TransformerBridge,
    shape: GraphShape,
    activations: Mapping[str, Float[Tensor, "one position *rest"]],
    prompts: Prompts,
) -> Float[Tensor, "one vocabulary"]:
    """The model's logits with the end of its residual stream put in."""
    end = hooks.resid_post(shape.n_layers - 1)

    def put_in(stream: Tensor, hook: Any) -> Tensor:
        return activations[end].to(stream.dtype)

    with bridge.hooks(fwd_hooks=[(end, put_in)]):
        return last_logits(bridge, prompts.tokens[:1])
