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
