"""From the residual stream to queries, keys or values, each with a stream of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models.norms import Norm


@dataclass(frozen=True)
class Projection:
    """The norm before an attention and some of its projections.

    What the attention does to the result before it is used (rotary positions, norms of queries and
    keys) comes after the bridge's `hook_q`, `hook_k` and `hook_v`, and is the model's own affair.
    """

    norm: Norm
    weight: Float[Tensor, "target d_model d_head"]
    bias: Float[Tensor, "target d_head"] | None

    @classmethod
    def of(
        cls,
        bridge: TransformerBridge,
        layer: int,
        kinds: Sequence[Literal["q", "k", "v"]],
        dtype: torch.dtype,
    ) -> "Projection":
        """The projections of all heads of a layer, kind by kind; key/value heads if shared."""
        block = bridge.blocks[layer]
        weights = [getattr(block.attn, f"W_{kind.upper()}") for kind in kinds]
        biases = [getattr(block.attn, f"b_{kind.upper()}") for kind in kinds]
        weight = torch.cat([part.detach() for part in weights]).to(dtype)
        bias = None
        if any(part is not None for part in biases):
            bias = torch.cat(
                [
                    weight.new_zeros(len(weights[number]), weight.shape[2])
                    if part is None
                    else part.detach().to(dtype)
                    for number, part in enumerate(biases)
                ]
            )
        return cls(Norm.of(block.ln1, dtype), weight, bias)

    def __call__(
        self,
        streams: Float[Tensor, "read *batch d_model"],
        targets: Int[Tensor, "read"],
    ) -> Float[Tensor, "read *batch d_head"]:
        """Project every stream by the projection of its target."""
        weight = self.weight[targets]
        normed = self.norm(streams).flatten(1, -2)
        # The weights are gathered, not the streams: those are many times as large.
        if self.bias is None:
            projected = torch.bmm(normed, weight)
        else:
            projected = torch.baddbmm(self.bias[targets, None], normed, weight)
        return projected.unflatten(1, streams.shape[1:-1])
