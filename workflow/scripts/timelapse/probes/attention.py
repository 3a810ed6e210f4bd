"""The attention probe: all its tables from one reading of the patterns."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import ActivationSource
from timelapse.models.prompts import Prompts
from timelapse.probes.attention_patterns import (
    Patterns,
    WholePatterns,
    each_pattern,
    example_ids,
)
from timelapse.probes.probe_settings import AttentionSettings
from timelapse.running_mean import RunningMean
from timelapse.seeds import generator
from timelapse.stats import bootstrap_interval, resampling_weights
from timelapse.tables import ATTENTION, ATTENTION_CHANGE, without_step

LastAttention = Float[Tensor, "layer head _ _"]
"""Attention from the last position, [layer, head, batch, key]; keys differ between buckets."""


def first_attention(
    bridge: TransformerBridge, source: ActivationSource, prompts: Sequence[Prompts], batch_size: int
) -> list[LastAttention]:
    """The attention from the last position that a run's later checkpoints are compared with.

    Args:
        bridge: the run's first checkpoint.
        source: gives `attention_patterns.needs`.
        prompts: buckets of prompts.
        batch_size: prompts run at a time.

    Returns:
        One tensor for each prompt, in the order of the buckets, on the CPU.
    """
    return [
        prompt
        for _, patterns in each_pattern(bridge, source, prompts, batch_size)
        for prompt in from_last(patterns).split(1, dim=2)
    ]


def attention(
    bridge: TransformerBridge,
    source: ActivationSource,
    prompts: Sequence[Prompts],
    batch_size: int,
    settings: AttentionSettings,
    seed: int,
    dataset: Path,
    prepared: Sequence[LastAttention],
) -> dict[str, pa.Table]:
    """Where the heads of a checkpoint attend, and how far that is from the first checkpoint.

    Args:
        bridge: the checkpoint.
        source: gives `attention_patterns.needs`.
        prompts: buckets of prompts, the same for every checkpoint.
        batch_size: prompts run at a time.
        settings: `heads` whose whole patterns are kept, on the prompts `examples` counted from 0,
            and the `resamples` of the bootstrap over prompts.
        seed: of the study.
        dataset: the file that the prompts are from; it names the kept examples.
        prepared: what `first_attention` returned for the same prompts.

    Returns:
        `attention`, `attention_change` and `attention_pattern`, without `step`.

    Raises:
        UserError: the model has no such head, or an example is not among the measured prompts.
    """
    labelled = LabelledAttention(bridge.cfg.n_layers, bridge.cfg.n_heads)
    examples = example_ids(dataset, settings.examples, settings.prompts) if settings.heads else {}
    whole = WholePatterns(bridge, settings.heads, examples)
    last: list[LastAttention] = []
    for batch, patterns in each_pattern(bridge, source, prompts, batch_size):
        labelled.add(batch, patterns)
        whole.add(batch, patterns)
        last.extend(from_last(patterns).split(1, dim=2))
    change = attention_change(
        moved(prepared, last), settings.resamples, generator(seed, "attention_change")
    )
    return {
        "attention": labelled.table(),
        "attention_change": change,
        "attention_pattern": whole.table(),
    }


def from_last(patterns: Patterns) -> LastAttention:
    """Attention from the last position, kept on the CPU."""
    return patterns[:, :, :, -1].to("cpu", torch.float32)


def moved(
    before: Sequence[LastAttention], now: Sequence[LastAttention]
) -> Float[Tensor, "layer head prompt"]:
    """How far the attention of every head has moved on every prompt.

    Args:
        before: at one checkpoint, batch by batch.
        now: at another, for the same batches.

    Returns:
        The share of the attention that lies on other keys: half the sum of the absolute
        differences, between 0 and 1.
    """
    return torch.cat(
        [(b.double() - a.double()).abs().sum(-1) / 2 for a, b in zip(before, now, strict=True)], -1
    )


def attention_change(
    change: Float[Tensor, "layer head prompt"], resamples: int, random: np.random.Generator
) -> pa.Table:
    """Rank the heads by their mean change, with bootstrap intervals over prompts.

    Prompts are drawn once for all heads, so that heads are compared on the same prompts.

    Args:
        change: of every head on every prompt, as `moved` gives it.
        resamples: how often the prompts are drawn anew.
        random: draws them.

    Returns:
        `tables.ATTENTION_CHANGE` without `step`: shares of the attention; rank 1 has changed most.
        Intervals as in `stats.bootstrap_interval`.
    """
    n_layers, n_heads, n = change.shape
    weights = resampling_weights(n, resamples, random)
    interval = bootstrap_interval(weights @ change.flatten(0, 1).numpy().T)
    rank = np.empty(len(interval.value), dtype=np.int32)
    rank[np.argsort(-interval.value, kind="stable")] = np.arange(1, len(rank) + 1)
    layers, heads = np.array(list(product(range(n_layers), range(n_heads)))).T
    return pa.table(
        {
            "layer": layers,
            "head": heads,
            "value": interval.value.astype(np.float32),
            "ci_low": interval.low.astype(np.float32),
            "ci_high": interval.high.astype(np.float32),
            "rank": rank,
        },
        schema=without_step(ATTENTION_CHANGE),
    )


class LabelledAttention:
    """Collects the means over prompts; a prompt counts for the labels that it has."""

    def __init__(self, n_layers: int, n_heads: int) -> None:
        self._heads = np.array(list(product(range(n_layers), range(n_heads))))
        self._means: dict[tuple[str, str], RunningMean] = {}
        self._possible: set[tuple[str, str]] = set()
        self._depth: dict[str, RunningMean] = {}

    def add(self, prompts: Prompts, patterns: Patterns) -> None:
        """Take in the patterns of some prompts."""
        labels = list(prompts.positions)
        index = torch.stack([prompts.positions[label] for label in labels])
        each = torch.arange(len(prompts), device=index.device)
        between = patterns[:, :, each, index[:, None], index[None]].flatten(0, 1)
        for (q, query), (k, key) in product(enumerate(labels), repeat=2):
            mean = self._means.setdefault((query, key), RunningMean(len(self._heads)))
            mean.add(between[:, q, k])
            if (index[k] <= index[q]).any():
                self._possible.add((query, key))
        for label, at in prompts.positions.items():
            self._depth.setdefault(label, RunningMean(1)).add(at[None].double())

    def table(self) -> pa.Table:
        """`tables.ATTENTION` without `step`; labels in the order of their mean position.

        Keys that come after their query in every prompt are left out: a causal model cannot attend
        to them.
        """
        labels = sorted(
            self._depth, key=lambda label: (float(self._depth[label].mean), label == "end", label)
        )
        pairs = [pair for pair in product(labels, repeat=2) if pair in self._possible]
        queries, keys = zip(*pairs, strict=True)
        layers, heads = np.repeat(self._heads, len(pairs), axis=0).T
        means = [self._means[pair] for pair in pairs]
        return pa.table(
            {
                "layer": layers,
                "head": heads,
                "query": queries * len(self._heads),
                "key": keys * len(self._heads),
                "value": torch.stack([m.mean for m in means], 1).flatten().float().numpy(),
                "std_error": torch.stack([m.std_error for m in means], 1).flatten().float().numpy(),
            },
            schema=without_step(ATTENTION),
        )
