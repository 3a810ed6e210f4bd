"""Mean attention from labelled positions to labelled positions.

Attention to a label is the weight on the last token of the labelled words, where a causal model has
read them all; attention from a label is that of the same token. `end` is the last position.
"""

from itertools import product

import numpy as np
import pyarrow as pa
import torch

from timelapse.averages import RunningMean
from timelapse.models.prompts import Prompts
from timelapse.probes.attention.patterns import Patterns
from timelapse.tables import ATTENTION


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
            self._depth.setdefault(label, RunningMean(1)).add(at[None])

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
            schema=ATTENTION.remove(ATTENTION.get_field_index("step")),
        )
