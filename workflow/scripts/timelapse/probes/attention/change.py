"""Which heads have changed where they look: attention from the last position against step 0.

The change of a head on a prompt is the total variation distance between its attention from the last
position now and at step 0: half the summed absolute difference of the weights, the share of the
attention that has moved elsewhere. 0 is no change, 1 is attention to other tokens altogether.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor

from timelapse.probes.attention.patterns import Patterns
from timelapse.tables import ATTENTION_CHANGE

LastAttention = Float[Tensor, "layer head batch key"]


def from_last(patterns: Patterns) -> LastAttention:
    """Attention from the last position, kept on the CPU."""
    return patterns[:, :, :, -1].to("cpu", torch.float32)


def moved(
    before: Sequence[LastAttention], now: Sequence[LastAttention]
) -> Float[Tensor, "layer head prompt"]:
    """The change of every head on every prompt, from batches of the same prompts."""
    return torch.cat(
        [(b.double() - a.double()).abs().sum(-1) / 2 for a, b in zip(before, now, strict=True)], -1
    )


def attention_change(
    change: Float[Tensor, "layer head prompt"], resamples: int, random: np.random.Generator
) -> pa.Table:
    """Rank the heads by their mean change, with bootstrap intervals over prompts.

    The interval is the percentile bootstrap's at 95 % (Efron 1979, Annals of Statistics 7). Prompts
    are drawn once for all heads, so that heads are compared on the same prompts.

    Args:
        change: of every head on every prompt.
        resamples: how often the prompts are drawn anew.
        random: draws them.

    Returns:
        `tables.ATTENTION_CHANGE` without `step`; rank 1 has changed most.
    """
    n_layers, n_heads, n = change.shape
    each = change.flatten(0, 1).numpy()
    weights = random.multinomial(n, np.full(n, 1 / n), size=resamples) / n
    low, high = np.quantile(each @ weights.T, [0.025, 0.975], axis=1)
    value = each.mean(1)
    rank = np.empty(len(value), dtype=np.int32)
    rank[np.argsort(-value, kind="stable")] = np.arange(1, len(value) + 1)
    layers, heads = np.array(list(product(range(n_layers), range(n_heads)))).T
    return pa.table(
        {
            "layer": layers,
            "head": heads,
            "value": value.astype(np.float32),
            "ci_low": low.astype(np.float32),
            "ci_high": high.astype(np.float32),
            "rank": rank,
        },
        schema=ATTENTION_CHANGE.remove(ATTENTION_CHANGE.get_field_index("step")),
    )
