"""The one number that circuits are about: the logit difference of a prompt."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def last_logits(
    bridge: "TransformerBridge", tokens: Int[Tensor, "batch position"]
) -> Float[Tensor, "batch vocabulary"]:
    """Logits at the last position; the others are not computed."""
    return bridge(tokens, logits_to_keep=1)[:, -1]


def logit_difference(
    logits: Float[Tensor, "batch vocabulary"],
    answer: Int[Tensor, "batch"],
    foils: Int[Tensor, "batch foil"],
) -> Float[Tensor, "batch"]:
    """logit(answer) less the mean of logit(foils), in float32 at least."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return (logits.gather(1, answer[:, None]) - logits.gather(1, foils).mean(1, keepdim=True))[:, 0]


def logit_difference_of_stream(
    bridge: "TransformerBridge",
    stream: Float[Tensor, "batch d_model"],
    answer: Int[Tensor, "batch"],
    foils: Int[Tensor, "batch foil"],
) -> Float[Tensor, "batch"]:
    """As `logit_difference`, from the last position after the last block: no logit is computed.

    The final norm and a product with the answer-minus-foils direction of the unembedding. The same
    only for models whose logits are the unembedding of that norm and nothing more.
    """
    dtype = torch.promote_types(stream.dtype, torch.float32)
    weight, bias = bridge.W_U.detach().T, bridge.b_U.detach()
    direction = weight[answer].to(dtype) - weight[foils].to(dtype).mean(1)
    offset = bias[answer].to(dtype) - bias[foils].to(dtype).mean(1)
    normed = bridge.ln_final(stream[:, None])[:, 0].to(dtype)
    return (normed * direction).sum(-1) + offset
