"""The positions that patching is reported at: the labelled ones, and what lies between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from timelapse.models.prompts import Prompts


@dataclass(frozen=True)
class Place:
    """A position of every prompt.

    Attributes:
        name: a label, or the token's number behind a `#`, followed by its text if that is the
            same in every prompt.
        index: for each bucket the token index in each prompt; None if the bucket has no such
            label.
    """

    name: str
    index: tuple[Int[np.ndarray, "batch"] | None, ...]


def places(
    prompts: Sequence[Prompts], tokenizer: PreTrainedTokenizerBase | None = None
) -> list[Place]:
    """Labelled positions and, if all prompts are of one length, those without any label.

    Every token of equally long prompts belongs to one place at least. They come in the order of
    their mean index.

    Args:
        prompts: the buckets.
        tokenizer: gives the texts of tokens without a label; only their numbers if left out.
    """
    labels = dict.fromkeys(label for bucket in prompts for label in bucket.positions)
    found = [
        Place(
            label,
            tuple(
                bucket.positions[label].cpu().numpy() if label in bucket.positions else None
                for bucket in prompts
            ),
        )
        for label in labels
    ]
    if len({bucket.tokens.shape[1] for bucket in prompts}) == 1:
        taken = {
            int(at) for place in found for part in place.index if part is not None for at in part
        }
        found += [
            Place(
                _name(prompts, index, tokenizer),
                tuple(np.full(len(bucket), index) for bucket in prompts),
            )
            for index in range(prompts[0].tokens.shape[1])
            if index not in taken
        ]
    return sorted(found, key=lambda place: (_mean_index(place), place.name))


def _mean_index(place: Place) -> float:
    return float(np.concatenate([part for part in place.index if part is not None]).mean())


def _name(prompts: Sequence[Prompts], index: int, tokenizer: PreTrainedTokenizerBase | None) -> str:
    tokens = {int(token) for bucket in prompts for token in bucket.tokens[:, index].unique()}
    if tokenizer is None or len(tokens) > 1:
        return f"#{index}"
    return f"#{index} {tokenizer.decode([*tokens]).strip()}".rstrip()
