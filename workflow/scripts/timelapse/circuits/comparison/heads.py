"""What became of every head since the first checkpoint: kept, amplified, weakened, added, lost."""

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.reachability import wiring
from timelapse.seeds import generator
from timelapse.stats import bootstrap_interval, resampling_weights
from timelapse.tables import HEADS

SMALLEST = 0.02
"""The share of a step's effect of `input` below which a score, or its change, counts as nothing."""

LABELS = ("", "kept", "amplified", "weakened", "added", "lost")


def head_table(
    samples: EdgeSamples, shape: GraphShape, n_resamples: int, seed: int, task: str
) -> pa.Table:
    """The score of every head at every step, and its label against the first step.

    A head's score is the sum of the scores of its out-edges, pooled over the corruptions: what
    corrupting all that it writes does to the metric. A head is *present* at a step if
    the 95 % interval of its score leaves out 0 and |score| is at least the step's floor: 2 % of
    |the sum of the scores of all out-edges of `input`|, to first order what corrupting the prompt
    does to the metric there. No other step plays a part. Its score has *changed* since
    the first step if the 95 % interval of the difference, paired by prompt, leaves out 0 and the
    difference is at least the higher of the two steps' floors. Then

    - added: absent at the first step, present now, and changed; or present at both with different
      signs, and changed, since what it does is new
    - lost: present at the first step, absent now, and changed
    - amplified, weakened: present at both, and changed to a larger or a smaller |score|
    - kept: present at one of them at least, and not changed; so are all present heads of the first
      step
    - an empty string: absent at both

    Labels are judged one by one, without a correction for their number; it is the smallest size
    that keeps chance findings few.

    Args:
        samples: the scores of one task's prompts.
        shape: the graph.
        n_resamples: of the bootstrap over prompts.
        seed: of the study.
        task: the task's name: its resamples are those of the comparison.

    Returns:
        `tables.HEADS`.
    """
    random = generator(seed, "bootstrap", task)
    weights = resampling_weights(len(samples.examples), n_resamples, random).astype(np.float32)
    leaving = _leaving(shape)
    sums = np.stack([weights @ (samples.pooled(step) @ leaving) for step in samples.steps], 1)
    effects, scores = np.abs(sums[0, :, 0]), sums[..., 1:]
    values = bootstrap_interval(scores)
    labels = head_labels(scores, effects)
    heads = [source for source in shape.sources if source.kind == "head"]
    n_steps = len(samples.steps)
    return pa.table(
        {
            "step": np.repeat(samples.steps, len(heads)).astype(np.int32),
            "layer": [head.layer for head in heads] * n_steps,
            "head": [head.head for head in heads] * n_steps,
            **{
                name: column.ravel().astype(np.float32)
                for name, column in zip(("score", "ci_low", "ci_high"), values, strict=True)
            },
            "label": [LABELS[label] for label in labels.ravel()],
        },
        schema=HEADS,
    )


def head_labels(
    scores: Float[np.ndarray, "resample step head"], effects: Float[np.ndarray, " step"]
) -> Int[np.ndarray, "step head"]:
    """The place among `LABELS` of every head's label.

    Args:
        scores: of the sample itself, first, and of its resamples.
        effects: |what corrupting all of `input` does| at every step.
    """
    value = scores[0]
    floor = SMALLEST * effects[:, None]
    present = _present(scores, floor)
    before, sign = present[0], np.sign(value[0])
    change = scores - scores[:, :1]
    changed = _present(change, np.maximum(floor, floor[0]))
    grown = sign * change[0]
    both = present & before & (np.sign(value) == sign)
    labels = np.zeros(value.shape, dtype=int)
    labels[present | before] = LABELS.index("kept")
    labels[both & changed & (grown > 0)] = LABELS.index("amplified")
    labels[both & changed & (grown < 0)] = LABELS.index("weakened")
    labels[present & ~both & changed] = LABELS.index("added")
    labels[before & ~present & changed] = LABELS.index("lost")
    return labels


def _present(
    scores: Float[np.ndarray, "resample step head"], floor: Float[np.ndarray, "step 1"]
) -> Bool[np.ndarray, "step head"]:
    value, low, high = bootstrap_interval(scores)
    return (np.abs(value) >= floor) & ((low > 0) | (high < 0))


def _leaving(shape: GraphShape) -> Float[np.ndarray, "edge source"]:
    """1 where an edge leaves `input`, first, or a head, else 0."""
    kinds = [source.kind for source in shape.sources]
    sources = [
        place for kind in ("input", "head") for place, own in enumerate(kinds) if own == kind
    ]
    return (wiring(shape).source[:, None] == sources).astype(np.float32)
