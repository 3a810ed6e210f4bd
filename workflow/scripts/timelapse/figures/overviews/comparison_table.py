"""The comparison table of a task as series over the steps, and as matrices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float

from timelapse.errors import UserError
from timelapse.figures.figure_tables import InputTables
from timelapse.files.parquet import REBUILD


@dataclass(frozen=True)
class ComparisonSeries:
    """Values over the steps, their 95 % intervals, and what the same checkpoint would give.

    NaN where something is not defined.
    """

    steps: tuple[int, ...]
    value: Float[np.ndarray, " step"]
    low: Float[np.ndarray, " step"]
    high: Float[np.ndarray, " step"]
    null: Float[np.ndarray, " step"]


@dataclass(frozen=True)
class ComparisonMatrix:
    """The same for every two steps: the first of a pair along the first axis."""

    value: Float[np.ndarray, "a b"]
    low: Float[np.ndarray, "a b"]
    high: Float[np.ndarray, "a b"]
    null: Float[np.ndarray, "a b"]


class ComparisonTable:
    """A task's comparison table.

    Attributes:
        task: the task.
        source: the file, for messages.
        steps: the compared steps, ascending; each was compared with the first.
    """

    def __init__(self, tables: InputTables, task: str) -> None:
        """
        Raises:
            UserError: the table cannot be used.
        """
        self.task, self.source = task, tables.source(task, "comparison")
        self._table = tables.table(task, "comparison")
        found = {*self._table["step_a"].to_pylist(), *self._table["step_b"].to_pylist()}
        self.steps = tuple(sorted(found))

    def since_first(self, measure: str) -> ComparisonSeries:
        """The first step against every step, within the task."""
        return self._series(measure, self.task, [(self.steps[0], step) for step in self.steps])

    def at_same_step(self, measure: str, other: str) -> ComparisonSeries:
        """Another task (or the task itself) against this one, at every step."""
        return self._series(measure, other, [(step, step) for step in self.steps])

    def from_first(self, measure: str, other: str) -> ComparisonSeries:
        """Another task at the first step against this one at every step."""
        return self._series(measure, other, [(self.steps[0], step) for step in self.steps])

    def at(self, measure: str, pair: tuple[int, int]) -> tuple[float, float, float]:
        """Value and interval of one pair of steps within the task."""
        series = self._series(measure, self.task, [pair])
        return float(series.value[0]), float(series.low[0]), float(series.high[0])

    def matrix(self, measure: str, symmetric: bool) -> ComparisonMatrix:
        """Every two steps, within the task.

        Args:
            measure: which.
            symmetric: whether the table has each pair once, the earlier step first.
        """
        n = len(self.steps)
        pairs = [
            (self.steps[min(a, b)], self.steps[max(a, b)])
            if symmetric
            else (self.steps[a], self.steps[b])
            for a in range(n)
            for b in range(n)
        ]
        series = self._series(measure, self.task, pairs)
        parts = (series.value, series.low, series.high, series.null)
        return ComparisonMatrix(*(part.reshape(n, n) for part in parts))

    def named(self, prefix: str) -> list[str]:
        """What follows a prefix in the names of measures, in the order of the table.

        Raises:
            UserError: no measure has it.
        """
        names = [str(name) for name in pc.unique(self._table["measure"]).to_pylist()]
        found = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        if not found:
            raise self._missing(f"no row has a measure {prefix}...")
        return found

    def _series(
        self, measure: str, other: str, pairs: Sequence[tuple[int, int]]
    ) -> ComparisonSeries:
        rows = self._table.filter(
            pc.and_(
                pc.equal(self._table["measure"], measure), pc.equal(self._table["task_a"], other)
            )
        )
        if not len(rows):
            raise self._missing(f"no row has measure = {measure}, task_a = {other}")
        places = {
            pair: row
            for row, pair in enumerate(
                zip(rows["step_a"].to_pylist(), rows["step_b"].to_pylist(), strict=True)
            )
        }
        lacking = next((pair for pair in pairs if pair not in places), None)
        if lacking is not None:
            steps = f"step_a = {lacking[0]}, step_b = {lacking[1]}"
            raise self._missing(f"no row has measure = {measure}, task_a = {other}, {steps}")
        chosen = [places[pair] for pair in pairs]
        columns = ("value", "ci_low", "ci_high", "null_mean")
        parts = (rows[name].to_numpy(zero_copy_only=False)[chosen] for name in columns)
        return ComparisonSeries(tuple(b for _, b in pairs), *parts)

    def _missing(self, problem: str) -> UserError:
        return UserError(self.source, "measure", problem, REBUILD)
