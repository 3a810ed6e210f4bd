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
    """One activation to patch.

    Attributes:
        site: a name of `HOOKS`.
        layer: the layer it lies in.
        at: the token's index for `POSITION_SITES`, the head's number for `HEAD_SITES`.
    """

    site: str
    layer: int
    at: int


@dataclass(frozen=True)
class Position:
    """A position that is compared across prompts.

    Attributes:
        name: a label, or the token's number behind a `#`, followed by its text if that is the
            same in every prompt.
        index: for each bucket the token index in each prompt; None if the bucket has no such
            label.
    """

    name: str
    index: tuple[Int[np.ndarray, " _"] | None, ...]


def positions(
    prompts: Sequence[Prompts], tokenizer: PreTrainedTokenizerBase | None = None
) -> list[Position]:
    """Labelled positions and, if all prompts are of one length, those without any label.

    Every token of equally long prompts belongs to one position at least. They come in the order of
    their mean index.

    Args:
        prompts: the buckets.
        tokenizer: gives the texts of tokens without a label; only their numbers if left out.
    """
    labels = dict.fromkeys(label for bucket in prompts for label in bucket.positions)
    found = [
        Position(
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
            int(at)
            for position in found
            for part in position.index
            if part is not None
            for at in part
        }
        found += [
            Position(
                _name(prompts, index, tokenizer),
                tuple(np.full(len(bucket), index) for bucket in prompts),
            )
            for index in range(prompts[0].tokens.shape[1])
            if index not in taken
        ]
    return sorted(found, key=lambda position: (_mean_index(position), position.name))


def _mean_index(position: Position) -> float:
    return float(np.concatenate([part for part in position.index if part is not None]).mean())


def _name(prompts: Sequence[Prompts], index: int, tokenizer: PreTrainedTokenizerBase | None) -> str:
    tokens = {int(token) for bucket in prompts for token in bucket.tokens[:, index].unique()}
    if tokenizer is None or len(tokens) > 1:
        return f"#{index}"
    return f"#{index} {tokenizer.decode([*tokens]).strip()}".rstrip()


@dataclass(frozen=True)
class Row:
    """A site of a layer, in one head or at one position: a row of the table.

    Attributes:
        site: a name of `HOOKS`.
        layer: the layer it lies in.
        head: the number of the head, for `HEAD_SITES`.
        position: for `POSITION_SITES`.
    """

    site: str
    layer: int
    head: int | None = None
    position: Position | None = None


def all_rows(
    n_layers: int, n_heads: int, n_kv_heads: int, positions: Sequence[Position]
) -> list[Row]:
    """All rows in their order: by site, layer, then position or head."""
    layers = range(n_layers)
    return [
        *(
            Row(site, layer, position=position)
            for site in POSITION_SITES
            for layer in layers
            for position in positions
        ),
        *(
            Row(site, layer, head=head)
            for site in HEAD_SITES
            for layer in layers
            for head in range(n_kv_heads if site in ("k", "v") else n_heads)
        ),
    ]


Cells = Float[np.ndarray, " cell"]


def shares(
    effects: Float[np.ndarray, "cell prompt"], gaps: Float[np.ndarray, " prompt"]
) -> tuple[Cells, Cells]:
    """Mean effect over mean gap, and its standard error over prompts.

    A ratio of means, not a mean of ratios: a prompt whose corruption hardly changes the metric
    would otherwise outweigh all others. The error is the delta method's: that of the
    mean of effect - share * gap, over the mean gap (Cochran, Sampling Techniques, 1977, 6.4).

    Args:
        effects: metric of the patched run minus that of the corrupted run; nan where a prompt has
            no such cell, which leaves the prompt out of that cell's means.
        gaps: metric of the clean run minus that of the corrupted run.

    Returns:
        The shares and their standard errors, which are nan below two prompts.
    """
    known = ~np.isnan(effects)
    n = known.sum(1)
    gap = np.where(known, gaps, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nansum(effects, 1) / gap.sum(1)
        rest = np.where(known, effects - share[:, None] * gaps, 0.0)
        variance = np.where(n > 1, (rest**2).sum(1) / (n - 1), np.nan)
        return share, np.sqrt(variance / n) / np.abs(gap.sum(1) / n)
