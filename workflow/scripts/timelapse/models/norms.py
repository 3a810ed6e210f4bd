"""LayerNorm and RMSNorm as linear maps of gradients: what analyses of the residual stream need.

Both compute y = weight * x̂ + bias with x̂ = x̄ / scale; x̄ is x less its mean (LayerNorm) or
x itself (RMSNorm), scale = sqrt(mean(x̄²) + eps). The bridge records x̂ and the scale.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge.generalized_components import NormalizationBridge


@dataclass(frozen=True)
class Norm:
    """The learned part of a norm.

    Attributes:
        weight: the factor applied to the normalised input.
        bias: what is added afterwards; None without one.
        centred: whether the mean is taken off first (LayerNorm) or not (RMSNorm).
    """

    weight: Float[Tensor, "d_model"]
    bias: Float[Tensor, "d_model"] | None
    centred: bool

    @classmethod
    def of(cls, component: NormalizationBridge, dtype: torch.dtype) -> "Norm":
        """The norm of a bridge's component, e.g. `bridge.ln_final`, in `dtype`."""
        weight = component.weight.detach().to(dtype)
        bias = getattr(component.original_component, "bias", None)
        return cls(
            weight=1 + weight if component.uses_weight_offset else weight,
            bias=None if bias is None else bias.detach().to(dtype),
            centred=not component.uses_rms_norm,
        )

    def frozen_pullback(
        self, gradient: Float[Tensor, "*batch d_model"], scale: Float[Tensor, "*#batch 1"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Gradient at the norm's input from that at its output, the scale taken as a constant.

        The norm is then affine: <gradient, y> = <frozen_pullback, x> + <gradient, bias>.
        """
        pulled = gradient * self.weight
        if self.centred:
            pulled = pulled - pulled.mean(-1, keepdim=True)
        return pulled / scale

    def pullback(
        self,
        gradient: Float[Tensor, "*batch d_model"],
        normalized: Float[Tensor, "*#batch d_model"],
        scale: Float[Tensor, "*#batch 1"],
    ) -> Float[Tensor, "*batch d_model"]:
        """Gradient at the norm's input from that at its output: the vector-Jacobian product."""
        frozen = self.frozen_pullback(gradient, scale)
        return frozen - normalized * (normalized * frozen).mean(-1, keepdim=True)
