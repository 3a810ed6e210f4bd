"""The second half of an edge score: the gradient of the metric at what every target reads.

It is the gradient before the target's norm. No split inputs are needed: the gradients at queries,
keys and values are taken back through their projections, head by head, and through the norm of the
attention. The MLP and the logits have their norm to themselves: there autograd goes all the way.

Gradients of several passes are summed before they are taken back. Of what the norm does, only its
divisor and the component along its output differ between passes: the first goes in before the sum,
the second is one number for each target and position (`Projections`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.passes import Pass
from timelapse.circuits.graph import GraphShape
from timelapse.models import hooks
from timelapse.models.norms import Norm

Gradients = Mapping[str, Float[Tensor, "batch position *rest"]]


@runtime_checkable
class TargetGradients(Protocol):
    """Sums of gradients at targets that have the same sources.

    Attributes:
        tapped: the activations at which the gradients are taken.
        kept: further activations that are needed with them.
        size: how many targets there are.
    """

    tapped: tuple[str, ...]
    kept: tuple[str, ...]
    size: int

    def add(self, run: Pass, gradients: Gradients) -> None:
        """Add the gradients of one pass."""

    def at_inputs(
        self, rows: slice, out: Float[Tensor, " number"]
    ) -> Float[Tensor, "target some last_position d_model"]:
        """The sums for some prompts at the targets' inputs, perhaps at the beginning of `out`."""

    def along(
        self, direction: Float[Tensor, "batch position d_model"]
    ) -> Float[Tensor, "target batch last_position"]:
        """Products of the sums with one direction for all targets, position by position."""


@dataclass(frozen=True)
class Projections:
    """Queries, keys and values of a layer as affine maps of what the attention's norm puts out.

    With x̂ the normalised stream, before the norm's own weight: projected = x̂ weight + bias. A
    gradient g at a projection is, at the norm's input, (weight g - x̂ (x̂ . weight g) / d) / scale,
    and x̂ . weight g is (projected - bias) . g.

    Attributes:
        weight: with the norm's weight and its centring in it.
        bias: with the norm's bias in it.
    """

    weight: Float[Tensor, "target d_model d_head"]
    bias: Float[Tensor, "target d_head"]

    @classmethod
    def of(cls, bridge: TransformerBridge, layer: int, dtype: torch.dtype) -> "Projections":
        """Those of a layer, all queries first, then keys and values."""
        block = bridge.blocks[layer]
        norm = Norm.of(block.ln1, dtype)
        kinds = [(block.attn.W_Q, block.attn.b_Q), (block.attn.W_K, block.attn.b_K)]
        kinds.append((block.attn.W_V, block.attn.b_V))
        weight = torch.cat([weight.detach() for weight, _ in kinds]).to(dtype)
        bias = torch.cat(
            [
                weight.new_zeros(weight.shape[0], weight.shape[2]) if bias is None else bias
                for weight, bias in kinds
            ]
        ).to(dtype)
        if norm.bias is not None:
            bias = bias + torch.einsum("d,tde->te", norm.bias, weight)
        weight *= norm.weight[:, None]
        if norm.centred:
            weight -= weight.mean(1, keepdim=True)
        return cls(weight, bias)


class AttentionGradients:
    """Gradients at what the queries, keys and values of a layer read."""

    def __init__(self, bridge: TransformerBridge, shape: GraphShape, layer: int) -> None:
        self.tapped: tuple[str, ...] = tuple(
            kind(layer) for kind in (hooks.query, hooks.key, hooks.value)
        )
        self.kept: tuple[str, ...] = (hooks.attn_normalized(layer), hooks.attn_scale(layer))
        self.size = shape.n_heads + 2 * shape.n_kv_heads
        self._bridge, self._layer = bridge, layer
        self._summed: Float[Tensor, "batch position target d_head"] | None = None
        self._norms: list[
            tuple[Float[Tensor, "batch position target"], Float[Tensor, "batch position d_model"]]
        ] = []
        self._projections: Projections | None = None

    def add(self, run: Pass, gradients: Gradients) -> None:
        if self._projections is None:
            self._projections = Projections.of(self._bridge, self._layer, run.dtype)
        normalized, scale = (run[name].to(run.dtype) for name in self.kept)
        found = torch.cat([gradients[name] for name in self.tapped], dim=2).to(run.dtype)
        found /= scale[..., None]
        projected = torch.cat([run[name].detach() for name in self.tapped], dim=2).to(run.dtype)
        projected -= self._projections.bias
        self._norms.append(((found * projected).sum(-1) / normalized.shape[-1], normalized))
        self._summed = found if self._summed is None else self._summed.add_(found)

    def at_inputs(
        self, rows: slice, out: Float[Tensor, " number"]
    ) -> Float[Tensor, "target some position d_model"]:
        assert self._summed is not None and self._projections is not None
        summed, weight = self._summed[rows], self._projections.weight
        shape = (self.size, *summed.shape[:2], weight.shape[1])
        inputs = out[: prod(shape)].view(shape)
        torch.bmm(
            summed.flatten(0, 1).transpose(0, 1),
            weight.transpose(1, 2),
            out=inputs.flatten(1, 2),
        )
        for share, normalized in self._norms:
            inputs.addcmul_(share[rows].permute(2, 0, 1)[..., None], normalized[rows], value=-1)
        return inputs

    def along(
        self, direction: Float[Tensor, "batch position d_model"]
    ) -> Float[Tensor, "target batch position"]:
        assert self._summed is not None and self._projections is not None
        weight = self._projections.weight
        projected = direction @ weight.transpose(0, 1).flatten(1)
        found = (self._summed * projected.unflatten(-1, weight.shape[::2])).sum(-1)
        for share, normalized in self._norms:
            found -= share * (normalized * direction).sum(-1, keepdim=True)
        return found.permute(2, 0, 1)


class StreamGradients:
    """Gradients at what one reader with a norm to itself reads: the MLP of a layer, or the logits.

    The logits, and the MLP of the last layer, read the last position alone.
    """

    def __init__(self, name: str, at_end: bool) -> None:
        self.tapped: tuple[str, ...] = (name,)
        self.kept: tuple[str, ...] = ()
        self.size = 1
        self._first = -1 if at_end else 0
        self._summed: Float[Tensor, "batch last_position d_model"] | None = None

    def add(self, run: Pass, gradients: Gradients) -> None:
        found = gradients[self.tapped[0]][:, self._first :].to(run.dtype)
        self._summed = found if self._summed is None else self._summed + found

    def at_inputs(
        self, rows: slice, out: Float[Tensor, " number"]
    ) -> Float[Tensor, "1 some last_position d_model"]:
        assert self._summed is not None
        return self._summed[None, rows]

    def along(
        self, direction: Float[Tensor, "batch position d_model"]
    ) -> Float[Tensor, "1 batch last_position"]:
        assert self._summed is not None
        return (self._summed * direction[:, self._first :]).sum(-1)[None]


def target_gradients(bridge: TransformerBridge, shape: GraphShape) -> list[TargetGradients]:
    """Empty sums for all targets, in their order: of every layer attention, MLP; at last logits."""
    found: list[TargetGradients] = []
    last = shape.n_layers - 1
    for layer in range(shape.n_layers):
        found.append(AttentionGradients(bridge, shape, layer))
        found.append(StreamGradients(hooks.mlp_norm_in(layer), at_end=layer == last))
    found.append(StreamGradients(hooks.resid_post(last), at_end=True))
    return found


def add_gradients(run: Pass, targets: Sequence[TargetGradients]) -> None:
    """Add the gradients of a pass to the sums of targets."""
    gradients = run.gradients(tapped_names(targets))
    for target in targets:
        target.add(run, gradients)


def tapped_names(targets: Sequence[TargetGradients]) -> list[str]:
    """The activations at which gradients are taken."""
    return [name for target in targets for name in target.tapped]


def kept_names(targets: Sequence[TargetGradients]) -> list[str]:
    """The activations that are needed with the gradients."""
    return [name for target in targets for name in target.kept]
