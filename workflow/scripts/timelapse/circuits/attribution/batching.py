"""How many prompts and circuits are run at a time: batches that fit the memory.

Methods that look at one batch at a time become functions of buckets of prompts here (`by_batch`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from typing import TypeAlias

import torch
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.scores import PromptScores
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts

_NUMBERS = 2**28
"""How many numbers a batch may leave in the model on the CPU: 1 GiB in float32."""

_SHARE = 0.5
"""The share of a GPU's memory that they may take there, its weights aside: not of what is free at
the time, which would make the batch, and with it the rounding, depend on what ran before."""


def prompts_at_once(bridge: TransformerBridge, length: int, most: int) -> int:
    """How many prompts of a length a method may run together, `most` or fewer.

    A layer leaves some forty numbers of the stream's width for each token, measured at the peak of
    EAP-IG on GPT-2, and the MLP's hidden numbers four times over where it is gated.
    """
    config = bridge.cfg
    hidden = getattr(config, "d_mlp", None) or 4 * config.d_model
    of_token = config.n_layers * (44 * config.d_model + 4 * hidden)
    return max(1, min(most, numbers_in_memory(bridge) // (of_token * length)))


def numbers_in_memory(bridge: TransformerBridge) -> int:
    """How many numbers the activations of a batch may be: a bound on memory."""
    if torch.device(bridge.cfg.device).type != "cuda":
        return _NUMBERS
    memory = torch.cuda.get_device_properties(bridge.cfg.device).total_memory
    weights = sum(weight.nbytes for weight in bridge.original_model.parameters())
    return max(0, int(_SHARE * (memory - weights))) // bridge.cfg.dtype.itemsize


def equal_parts(n: int, most: int) -> int:
    """The size of the fewest parts of about equal size that n things fall into."""
    return -(-n // max(1, -(-n // most)))


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
