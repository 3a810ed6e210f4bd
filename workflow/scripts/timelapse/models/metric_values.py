"""Values of the metrics that `metric` declares, and the logits that they are taken from."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def last_logits(
    bridge: "TransformerBridge", tokens: Int[Tensor, "batch position"]
) -> Float[Tensor, "batch vocabulary"]:
    """Run a model on prompts of one length.

    Returns:
        The logits at the last position; the others are not computed.
    """
    return bridge(tokens, logits_to_keep=1)[:, -1]


def logit_difference(
    logits: Float[Tensor, "batch vocabulary"],
    answer: Int[Tensor, "batch"],
    foils: Int[Tensor, "batch foil"],
) -> Float[Tensor, "batch"]:
    """logit(answer) minus the mean of logit(foils), in float32 at least."""
    logits = _widened(logits)
    return (logits.gather(1, answer[:, None]) - logits.gather(1, foils).mean(1, keepdim=True))[:, 0]


def answer_minus_foils(
    table: Float[Tensor, "vocabulary *rest"],
    answer: Int[Tensor, "batch"],
    foils: Int[Tensor, "batch foil"],
) -> Float[Tensor, "batch *rest"]:
    """The answer's row of a table minus the mean of the foils' rows, in float32 at least.

    The linear map of the logit difference: of the unembedding it is the metric's direction.
    """
    return _widened(table[answer]) - _widened(table[foils]).mean(1)


def probability_difference(
    logits: Float[Tensor, "batch vocabulary"],
    answer: Int[Tensor, "batch"],
    foils: Int[Tensor, "batch foil"],
) -> Float[Tensor, "batch"]:
    """P(answer) minus the sum of P(foils), between -1 and 1, in float32 at least.

    As in Hanna, Liu & Variengien 2023, "How does GPT-2 compute greater-than?", for the set of the
    answer and the set of the foils.
    """
    probability = _widened(logits).softmax(-1)
    return probability.gather(1, answer[:, None])[:, 0] - probability.gather(1, foils).sum(1)


def _widened(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
