"""Scoring prompts in batches that fit the memory, for methods that look at one batch at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from typing import TypeAlias

from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.batch_memory import equal_parts, prompts_at_once
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.scores import PromptScores
from timelapse.circuits.settings import MethodSettings
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts

Kernel: TypeAlias = Callable[
    [TransformerBridge, GraphShape, Prompts, str, MethodSettings, Metric], PromptScores
]
"""Scores the prompts of one batch."""

ScoringFunction: TypeAlias = Callable[
    [TransformerBridge, GraphShape, Sequence[Prompts], str, MethodSettings, Metric],
    Iterator[PromptScores],
]
"""Scores buckets of prompts, batch by batch; see `methods.Method.function`."""


def by_batch(kernel: Kernel) -> ScoringFunction:
    """Make a kernel score buckets of prompts, in batches of at most `settings.batch`.

    Batches are smaller where that many prompts do not fit the memory; the kernel's `settings.batch`
    is what fits.
    """

    @wraps(kernel)
    def score(
        bridge: TransformerBridge,
        shape: GraphShape,
        prompts: Sequence[Prompts],
        corruption: str,
        settings: MethodSettings,
        metric: Metric,
    ) -> Iterator[PromptScores]:
        for bucket in prompts:
            fit = prompts_at_once(bridge, bucket.tokens.shape[1], settings.batch)
            on_device = bucket.to(bridge.cfg.device)
            for batch in on_device.batches(equal_parts(len(bucket), fit)):
                yield kernel(bridge, shape, batch, corruption, replace(settings, batch=fit), metric)

    return score
