"""Win rate: how often the model's first choice over the whole vocabulary is the answer."""

from collections.abc import Sequence

import pyarrow as pa
import torch
from transformers import PreTrainedModel

from timelapse.models.metric import LOGIT_DIFF, Metric
from timelapse.models.prompts import Prompts
from timelapse.running_mean import RunningMean
from timelapse.stats import wilson_interval
from timelapse.tables import WIN_RATE, without_step


@torch.no_grad()
def win_rate(
    model: PreTrainedModel,
    prompts: Sequence[Prompts],
    batch_size: int,
    metric: Metric = LOGIT_DIFF,
) -> pa.Table:
    """Win rate, logit difference, probability of the answer and metric at the last position.

    Args:
        model: a causal language model.
        prompts: buckets of prompts; every prompt has the same weight.
        batch_size: prompts in one forward pass.
        metric: of the task; the logit difference is measured beside it in any case.

    Returns:
        `tables.WIN_RATE` without `step`: one row. Shares with their Wilson interval at 95 %, and
        means over prompts with their standard errors.
    """
    wins = 0
    means = RunningMean(3)
    for bucket in prompts:
        for batch in bucket.to(model.device).batches(batch_size):
            logits = model(batch.tokens, logits_to_keep=1).logits[:, -1].float()
            wins += int((logits.argmax(-1) == batch.answer).sum())
            probability = logits.softmax(-1).gather(1, batch.answer[:, None])[:, 0]
            logit_diff, value = (
                each.value(logits, batch.answer, batch.foils) for each in (LOGIT_DIFF, metric)
            )
            means.add(torch.stack((logit_diff, probability, value)))
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
            "metric": [metric.name],
            "metric_value": [float(means.mean[2])],
            "metric_se": [float(means.std_error[2])],
        },
        schema=without_step(WIN_RATE),
    )
