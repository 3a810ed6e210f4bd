"""LayerNorm and RMSNorm, and their linear maps of gradients: what analyses of the stream need.

Both compute y = weight * x̂ + bias with x̂ = x̄ / scale; x̄ is x minus its mean (LayerNorm) or
x itself (RMSNorm), scale = sqrt(mean(x̄²) + eps). The bridge records x̂ and the scale.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from transformer_lens.model_bridge.generalized_components import NormalizationBridge


@dataclass(frozen=True)
class Norm:
    """The learned part of a norm.

    Attributes:
        weight: the factor applied to the normalised input.
        bias: what is added afterwards; None without one.
        centred: whether the mean is taken off first (LayerNorm) or not (RMSNorm).
        eps: what is added to the mean square before the root.
    """

    weight: Float[Tensor, " d_model"]
    bias: Float[Tensor, " d_model"] | None
    centred: bool
    eps: float

    @classmethod
    def of(cls, component: NormalizationBridge, dtype: torch.dtype) -> "Norm":
        """The norm of a bridge's component, e.g. `bridge.ln_final`, in `dtype`."""
        weight = component.weight.detach().to(dtype)
        bias = getattr(component.original_component, "bias", None)
        return cls(
            weight=1 + weight if component.uses_weight_offset else weight,
            bias=None if bias is None else bias.detach().to(dtype),
            centred=not component.uses_rms_norm,
            eps=_eps(component),
        )

    def __call__(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """The norm of x: weight * x̂ + bias."""
        width = x.shape[-1:]
        if self.centred:
            return functional.layer_norm(x, width, self.weight, self.bias, self.eps)
        normed = functional.rms_norm(x, width, self.weight, self.eps)
        return normed if self.bias is None else normed + self.bias

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


def _eps(component: NormalizationBridge) -> float:
    """That of the wrapped module where the bridge runs it, that of the config where it does not."""
    wrapped = component.original_component
    if component.use_native_layernorm_autograd or getattr(
        component.config, "layer_norm_folding", False
    ):
        for name in ("eps", "variance_epsilon"):
            if getattr(wrapped, name, None) is not None:
                return float(getattr(wrapped, name))
    return float(getattr(component.config, "eps", 1e-5))
