"""The attention probe: all its tables from one reading of the patterns."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import Source
from timelapse.models.prompts import Prompts
from timelapse.probes.attention.change import LastAttention, attention_change, from_last, moved
from timelapse.probes.attention.labelled import LabelledAttention
from timelapse.probes.attention.patterns import each_pattern
from timelapse.probes.attention.whole import WholePatterns
from timelapse.seeds import generator


class AttentionProbe:
    """Measures one checkpoint of a run after the other; the first, step 0, is compared with."""

    def __init__(
        self,
        heads: Sequence[str],
        examples: Mapping[int, int],
        resamples: int,
        seed: int,
    ) -> None:
        """
        Args:
            heads: whose whole patterns are kept, such as `a3.h1`.
            examples: on which prompts they are kept: example_id by row in the dataset.
            resamples: of the bootstrap.
            seed: of the study.
        """
        self._heads, self._examples = heads, examples
        self._resamples, self._seed = resamples, seed
        self._before: list[LastAttention] | None = None

    def __call__(
        self,
        bridge: TransformerBridge,
        source: Source,
        prompts: Sequence[Prompts],
        batch_size: int,
    ) -> dict[str, pa.Table]:
        """Measure a checkpoint.

        Args:
            bridge: the model.
            source: gives `patterns.needs`.
            prompts: buckets of prompts, the same for every checkpoint.
            batch_size: prompts run at a time.

        Returns:
            `attention`, `attention_change` and `attention_pattern`, without `step`.
        """
        labelled = LabelledAttention(bridge.cfg.n_layers, bridge.cfg.n_heads)
        whole = WholePatterns(bridge, self._heads, self._examples)
        last: list[LastAttention] = []
        for batch, patterns in each_pattern(bridge, source, prompts, batch_size):
            labelled.add(batch, patterns)
            whole.add(batch, patterns)
            last.extend(from_last(patterns).split(1, dim=2))
        if self._before is None:
            self._before = last
        random = generator(self._seed, "attention_change")
        return {
            "attention": labelled.table(),
            "attention_change": attention_change(
                moved(self._before, last), self._resamples, random
            ),
            "attention_pattern": whole.table(),
        }
