"""What is patched: one cell is one activation of one layer, at one position or of one head."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from transformers import PreTrainedTokenizerBase

from timelapse.models import hooks
from timelapse.models.prompts import Prompts

POSITION_SITES = ("resid_pre", "attn_out", "mlp_out")
"""Sites that are patched at one position."""

HEAD_SITES = ("z", "q", "k", "v", "pattern")
"""Sites that are patched in one head at all positions; k and v in one key/value head."""

HOOKS: Mapping[str, Callable[[int], str]] = {
    "resid_pre": hooks.resid_pre,
    "attn_out": hooks.attn_out,
    "mlp_out": hooks.mlp_out,
    "z": hooks.z,
    "q": hooks.query,
    "k": hooks.key,
    "v": hooks.value,
    "pattern": hooks.pattern,
}


@dataclass(frozen=True, order=True)
class Cell:
    """One place to patch.

    Attributes:
        site: a name of `HOOKS`.
        layer: the layer it lies in.
        at: the token's index for `POSITION_SITES`, the head's number for `HEAD_SITES`.
    """

    site: str
    layer: int
    at: int


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


@dataclass(frozen=True)
class Row:
    """A site of a layer, in one head or at one place."""

    site: str
    layer: int
    head: int | None = None
    place: Place | None = None

    def indices(self, bucket: int, part: slice, n: int) -> Int[np.ndarray, "batch"] | None:
        """`Cell.at` for each of the `n` prompts in a part of a bucket; None if they lack it."""
        if self.place is None:
            return np.full(n, self.head)
        index = self.place.index[bucket]
        return None if index is None else index[part]


def all_rows(n_layers: int, n_heads: int, n_kv_heads: int, places: Sequence[Place]) -> list[Row]:
    """All rows in their order: by site, layer, then place or head."""
    layers = range(n_layers)
    return [
        *(
            Row(site, layer, place=place)
            for site in POSITION_SITES
            for layer in layers
            for place in places
        ),
        *(
            Row(site, layer, head=head)
            for site in HEAD_SITES
            for layer in layers
            for head in range(n_kv_heads if site in ("k", "v") else n_heads)
        ),
    ]


Cells = Float[np.ndarray, "cell"]


def shares(
    effects: Float[np.ndarray, "cell prompt"], gaps: Float[np.ndarray, "prompt"]
) -> tuple[Cells, Cells]:
    """Mean effect over mean gap, and its standard error over prompts.

    A ratio of means, not a mean of ratios: a prompt whose corruption hardly changes the logit
    difference would otherwise outweigh all others. The error is the delta method's: that of the
    mean of effect - share * gap, over the mean gap (Cochran, Sampling Techniques, 1977, 6.4).

    Args:
        effects: patched less corrupted logit difference; nan where a prompt has no such cell,
            which leaves the prompt out of that cell's means.
        gaps: clean less corrupted logit difference.

    Returns:
        The shares and their standard errors, which are nan below two prompts.
    """
    there = ~np.isnan(effects)
    n = there.sum(1)
    gap = np.where(there, gaps, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nansum(effects, 1) / gap.sum(1)
        rest = np.where(there, effects - share[:, None] * gaps, 0.0)
        variance = np.where(n > 1, (rest**2).sum(1) / (n - 1), np.nan)
        return share, np.sqrt(variance / n) / np.abs(gap.sum(1) / n)
