"""From the residual stream to queries, keys or values, each head with a stream of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models.norms import Norm


@dataclass(frozen=True)
class Projection:
    """The norm before an attention and one of its projections.

    What the attention does to the result before it is used (rotary positions, norms of queries and
    keys) comes after the bridge's `hook_q`, `hook_k` and `hook_v`, and is the model's own affair.
    """

    norm: Norm
    weight: Float[Tensor, "head d_model d_head"]
    bias: Float[Tensor, "head d_head"] | None

    @classmethod
    def of(
        cls,
        bridge: TransformerBridge,
        layer: int,
        kind: Literal["q", "k", "v"],
        heads: Sequence[int],
        dtype: torch.dtype,
    ) -> "Projection":
        """The projection of some heads of a layer; key/value heads if they are shared."""
        block = bridge.blocks[layer]
        chosen = list(heads)
        weight, bias = (
            getattr(block.attn, f"W_{kind.upper()}"),
            getattr(block.attn, f"b_{kind.upper()}"),
        )
        return cls(
            norm=Norm.of(block.ln1, dtype),
            weight=weight.detach()[chosen].to(dtype),
            bias=None if bias is None else bias.detach()[chosen].to(dtype),
        )

    def __call__(
        self, streams: Float[Tensor, "#head *batch d_model"]
    ) -> Float[Tensor, "head *batch d_head"]:
        """Project every head's own stream, or one stream for all heads."""
        batch = streams.shape[1:-1]
        projected = self.norm(streams).flatten(1, -2) @ self.weight
        if self.bias is not None:
            projected = projected + self.bias[:, None]
        return projected.unflatten(1, batch)
