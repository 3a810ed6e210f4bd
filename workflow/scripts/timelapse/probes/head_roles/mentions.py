"""Where prompts mention their answer and foils: by token."""

from jaxtyping import Bool
from torch import Tensor

from timelapse.models.prompts import Prompts


def answer_mentions(prompts: Prompts) -> Bool[Tensor, "batch position"]:
    """Which tokens are the answer."""
    return prompts.tokens == prompts.answer[:, None]


def foil_mentions(prompts: Prompts) -> Bool[Tensor, "batch position"]:
    """Which tokens are one of the foils."""
    return (prompts.tokens[:, :, None] == prompts.foils[:, None]).any(-1)
