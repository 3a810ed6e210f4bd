"""The comparison table of a task: every measure of every pair of checkpoints, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from timelapse.circuits.comparison.circuit_sets import (
    Circuits,
    Pairs,
    ResampledScores,
    pairs_across,
    pairs_from_first,
    pairs_within,
    slices,
)
from timelapse.circuits.comparison.measures import (
    RELATIVE,
    MeasuredPairs,
    bounds,
    measures,
    relative_share,
    split_half_nulls,
)
from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.circuits.graph import GraphShape
from timelapse.seeds import generator
from timelapse.stats import bootstrap_interval, half_weights, resampling_weights
from timelapse.steps import spread
from timelapse.tables import COMPARISON

MEMORY = 64 * 2**20
"""Bytes that the arrays of the resamples in work may take."""
_ARRAYS = 10
"""How many arrays of the scores' size the measures hold at a time."""


@dataclass(frozen=True)
class ComparisonSettings:
    """How circuits are compared.

    Attributes:
        edges: how many edges are chosen for every circuit before pruning.
        checkpoints: how many are compared at most.
        resamples: of the bootstrap over prompts.
        splits: into halves, for the null.
        seed: of the study.
    """

    edges: int
    checkpoints: int
    resamples: int
    splits: int
    seed: int


class _Task:
    """One task's scores: of all resamples at the compared steps, and what halves of them share.

    The resamples and halves of a task are the same at all steps, and in all tables that it is in.
    """

    def __init__(
        self, name: str, samples: EdgeSamples, shape: GraphShape, settings: ComparisonSettings
    ) -> None:
        n_examples = len(samples.examples)
        weights = resampling_weights(
            n_examples, settings.resamples, generator(settings.seed, "bootstrap", name)
        ).astype(np.float32)
        halves = half_weights(n_examples, settings.splits, generator(settings.seed, "halves", name))
        self.name, self._shape, self._edges = name, shape, settings.edges
        self._resampled = ResampledScores(len(samples.steps), len(weights), samples.n_edges)
        self.nulls: list[dict[str, float]] = []
        for place, step in enumerate(samples.steps):
            scores = samples.pooled(step)
            self._resampled.put(place, weights @ scores)
            self.nulls.append(split_half_nulls(scores, halves, shape, settings.edges))

    def circuits(self, start: int, stop: int) -> Circuits:
        """The circuits of some resamples, the first of which is the sample itself."""
        scores = self._resampled.part(start, stop)
        return Circuits.strongest(scores, self._shape, self._edges)


@dataclass(frozen=True)
class _Block:
    """The pairs of checkpoints of one other task, or the same, with those of the table's task."""

    task: _Task
    pairs: Pairs
    found: list[MeasuredPairs]

    @cached_property
    def values(self) -> MeasuredPairs:
        """Of all resamples."""
        names = self.found[0]
        return {name: np.concatenate([part[name] for part in self.found]) for name in names}


def compare(
    task: str,
    samples: Mapping[str, EdgeSamples],
    shape: GraphShape,
    settings: ComparisonSettings,
    controls: Mapping[str, EdgeSamples] = MappingProxyType({}),
) -> pa.Table:
    """Compare a task's circuits over the checkpoints, and with the circuits of other tasks.

    Args:
        task: the task.
        samples: the scores prompt by prompt of this task and of the others.
        shape: the graph of the model.
        settings: how.
        controls: those of tasks that the run is not about, at the first step.

    Returns:
        `tables.COMPARISON`: rows with `task_b` the task. Pairs are all compared steps a <= b of the
        task itself, (t, t) and (first, t) of every other task, (first, t) of controls. Intervals
        are from a bootstrap over prompts, whose resamples are the same for all steps of a task and
        independent between tasks. `null_mean` is the mean over the two checkpoints of what halves
        of their own prompts give. `weight_share_relative` puts `weight_share` between
        `weight_share_chance`, 0, and the null of checkpoint b, 1.

    Raises:
        UserError: a table lacks a step, a method, prompts or edges.
    """
    steps = spread(samples[task].steps, settings.checkpoints)
    names = [task, *(name for name in samples if name != task)]
    tasks = [_Task(name, samples[name].at(steps), shape, settings) for name in names]
    unrelated = [_Task(name, own.at(steps[:1]), shape, settings) for name, own in controls.items()]
    n_steps = len(steps)
    blocks = [
        _Block(tasks[0], pairs_within(n_steps), []),
        *(_Block(other, pairs_across(n_steps), []) for other in tasks[1:]),
        *(_Block(control, pairs_from_first(n_steps), []) for control in unrelated),
    ]
    each = (len(tasks) * n_steps + len(controls)) * len(shape.edges) * 4 * _ARRAYS
    for start, stop in slices(settings.resamples + 1, each, MEMORY):
        second = tasks[0].circuits(start, stop)
        for block in blocks:
            first = second if block.task is tasks[0] else block.task.circuits(start, stop)
            block.found.append(measures(first, second, block.pairs))
    return pa.concat_tables(_rows(block, tasks[0], np.array(steps)) for block in blocks)


def _rows(block: _Block, task: _Task, steps: np.ndarray) -> pa.Table:
    before, after = block.pairs.T
    own = _column(task.nulls, "weight_share")[after]
    values = dict(block.values)
    values[RELATIVE] = relative_share(values["weight_share"], values["weight_share_chance"], own)
    parts = []
    for name, sampled in values.items():
        value, low, high = bootstrap_interval(sampled, bounds(name))
        if name == RELATIVE:
            null = np.where(np.isfinite(value), 1.0, np.nan)
        else:
            null = (_column(block.task.nulls, name)[before] + _column(task.nulls, name)[after]) / 2
        columns = {
            "step_a": steps[before],
            "step_b": steps[after],
            "task_a": [block.task.name] * len(before),
            "task_b": [task.name] * len(after),
            "measure": [name] * len(before),
            "value": value,
            "ci_low": low,
            "ci_high": high,
            "null_mean": null,
        }
        parts.append(_table(columns))
    return pa.concat_tables(parts)


def _table(columns: Mapping[str, object]) -> pa.Table:
    arrays = {
        name: values.astype(np.float32)
        if isinstance(values, np.ndarray) and values.dtype == np.float64
        else values
        for name, values in columns.items()
    }
    return pa.table(arrays, schema=COMPARISON)


def _column(nulls: list[dict[str, float]], name: str) -> Float[np.ndarray, " step"]:
    return np.array([null[name] for null in nulls])
