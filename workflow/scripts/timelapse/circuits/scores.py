"""From the scores of single prompts to tables: the means over prompts, and the prompts themselves.

Every method yields its scores batch by batch; here they are all treated alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from timelapse.circuits.graph import GraphShape
from timelapse.running_mean import RunningMean
from timelapse.tables import EDGE_SAMPLES, EDGES, EDGES_BY_POSITION

OTHER = "(other)"
"""Where the position tables put what comes through tokens without a label."""


@dataclass(frozen=True)
class PromptScores:
    """What corrupting an edge does to the metric of every prompt of a batch.

    Attributes:
        rows: the prompts' rows in the dataset.
        scores: a score of every edge in the order of `GraphShape.edges`; of methods that score
            nodes, one of every node in the order of `GraphShape.sources`. Negative: it helps.
        by_position: the same split by labelled position, `OTHER` included, if that was asked for.
            The parts sum to `scores`.
    """

    rows: Int[np.ndarray, " batch"]
    scores: Float[Tensor, "edge batch"]
    by_position: Mapping[str, Float[Tensor, "edge batch"]] = field(default_factory=dict)


class MeanScores:
    """Collects the mean scores of one method and one corruption over all prompts.

    Every prompt has the same weight. A prompt without some label counts as zero there, so that
    the means by position sum to the mean.
    """

    def __init__(self) -> None:
        self._whole: RunningMean | None = None
        self._parts: dict[str, RunningMean] = {}

    def add(self, batch: PromptScores) -> None:
        """Take in the scores of a batch of prompts."""
        n_scores = len(batch.scores)
        if self._whole is None:
            self._whole = RunningMean(n_scores)
        for label in batch.by_position:
            if label not in self._parts:
                self._parts[label] = RunningMean(n_scores)
                self._parts[label].add(torch.zeros(n_scores, self._whole.count))
        for label, mean in self._parts.items():
            mean.add(batch.by_position.get(label, torch.zeros_like(batch.scores)))
        self._whole.add(batch.scores)

    def edges(self, shape: GraphShape, corruption: str, method: str) -> pa.Table:
        """`tables.EDGES` without `step`: a row for every edge, or node with `target` null.

        Raises:
            ValueError: nothing was added, or what was added is not of this shape.
        """
        if self._whole is None:
            raise ValueError("no prompts were scored")
        return pa.table(
            _columns(shape, corruption, method, self._whole), schema=EDGES.remove(_STEP)
        )

    def edges_by_position(self, shape: GraphShape, corruption: str, method: str) -> pa.Table:
        """`tables.EDGES_BY_POSITION` without `step`, label by label, `OTHER` last.

        Without rows if the method split nothing.
        """
        schema = EDGES_BY_POSITION.remove(_STEP)
        tables = [schema.empty_table()]
        for label in sorted(self._parts, key=lambda label: label == OTHER):
            columns = _columns(shape, corruption, method, self._parts[label])
            positions = [label] * len(self._parts[label].mean)
            tables.append(pa.table({**columns, "position": positions}, schema=schema))
        return pa.concat_tables(tables)


class ScoresByPrompt:
    """Collects the scores of one method and one corruption prompt by prompt."""

    def __init__(self) -> None:
        self._rows: list[Int[np.ndarray, " batch"]] = []
        self._scores: list[Float[np.ndarray, "batch edge"]] = []

    def add(self, batch: PromptScores) -> None:
        """Take in the scores of a batch of prompts."""
        self._rows.append(batch.rows)
        self._scores.append(batch.scores.detach().T.float().cpu().numpy())

    def edge_samples(self, corruption: str, method: str) -> pa.Table:
        """`tables.EDGE_SAMPLES` without `step`: a row for every prompt, in the dataset's order."""
        rows, scores = np.concatenate(self._rows), np.concatenate(self._scores)
        order = rows.argsort(kind="stable")
        n_prompts, n_scores = scores.shape
        ends = np.arange(n_prompts + 1, dtype=np.int32) * n_scores
        return pa.table(
            {
                "corruption": [corruption] * n_prompts,
                "method": [method] * n_prompts,
                "example": rows[order],
                "scores": pa.ListArray.from_arrays(ends, scores[order].ravel()),
            },
            schema=EDGE_SAMPLES.remove(_STEP),
        )


_STEP = 0
"""The place of the column `step` in every schema."""


def _columns(
    shape: GraphShape, corruption: str, method: str, scores: RunningMean
) -> dict[str, object]:
    mean, std_error = scores.mean, scores.std_error
    source: list[str] = [node.name for node in shape.sources]
    target: list[str] | list[None] = [None] * len(source)
    if len(mean) != len(source):
        source = [node.name for node, _ in shape.edges]
        target = [end.name for _, end in shape.edges]
    if len(mean) != len(source):
        raise ValueError(f"{len(mean)} scores for {len(source)} edges")
    return {
        "corruption": [corruption] * len(mean),
        "method": [method] * len(mean),
        "source": source,
        "target": target,
        "score": mean.float().numpy(),
        "std_error": std_error.float().numpy(),
    }
