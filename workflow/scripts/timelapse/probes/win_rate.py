"""Win rate: how often the model's first choice over the whole vocabulary is the answer."""

from collections.abc import Sequence

import pyarrow as pa
import torch
from transformers import PreTrainedModel

from timelapse import tables
from timelapse.models.metric_values import logit_difference
from timelapse.models.prompts import Prompts
from timelapse.running_mean import RunningMean

Z95 = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


def wilson_interval(wins: int, n: int) -> tuple[float, float]:
    """The Wilson score interval of a proportion at 95 % (Wilson 1927, JASA 22, equation 7)."""
    share, weight = wins / n, Z95**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = Z95 * (share * (1 - share) / n + weight / (4 * n)) ** 0.5 / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


@torch.no_grad()
def win_rate(model: PreTrainedModel, prompts: Sequence[Prompts], batch_size: int) -> pa.Table:
    """Win rate, logit difference and probability of the answer at the last position.

    Args:
        model: a causal language model.
        prompts: buckets of prompts; every prompt has the same weight.
        batch_size: prompts in one forward pass.

    Returns:
        `tables.WIN_RATE` without `step`: one row.
    """
    wins = 0
    means = RunningMean(2)
    for bucket in prompts:
        for batch in bucket.to(model.device).batches(batch_size):
            logits = model(batch.tokens, logits_to_keep=1).logits[:, -1].float()
            wins += int((logits.argmax(-1) == batch.answer).sum())
            probability = logits.softmax(-1).gather(1, batch.answer[:, None])[:, 0]
            means.add(
                torch.stack((logit_difference(logits, batch.answer, batch.foils), probability))
            )
    n = means.count
    low, high = wilson_interval(wins, n)
    return pa.table(
        {
            "n": [n],
            "wins": [wins],
            "win_rate": [wins / n],
            "ci_low": [low],
            "ci_high": [high],
            "logit_diff": [float(means.mean[0])],
            "logit_diff_se": [float(means.std_error[0])],
            "answer_probability": [float(means.mean[1])],
        },
        schema=tables.WIN_RATE.remove(tables.WIN_RATE.get_field_index("step")),
    )
