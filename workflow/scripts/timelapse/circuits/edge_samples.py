"""The scores of edges prompt by prompt, read back step by step. Free of torch.

These tables are the largest of a run: no more than a step of them is in memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float, Int

from timelapse.circuits.score_tables import check_no_nulls, no_step
from timelapse.errors import UserError
from timelapse.files.parquet import REBUILD, read_row_groups, row_groups_of_steps
from timelapse.tables import EDGE_SAMPLES


@dataclass(frozen=True)
class EdgeSamples:
    """The scores of all edges prompt by prompt, read when a step is asked for.

    Attributes:
        files: the file of every step.
        row_groups: the row groups of that file that hold the step.
        method: whose scores they are.
        n_edges: how many edges every prompt has a score of.
        examples: the prompts' rows in the dataset, ascending, the same at every step.
    """

    files: Mapping[int, Path]
    row_groups: Mapping[int, Sequence[int]]
    method: str
    n_edges: int
    examples: Int[np.ndarray, " example"]

    @classmethod
    def open(cls, paths: Iterable[str | Path], method: str, n_edges: int) -> "EdgeSamples":
        """See which steps and prompts there are; the scores of the first step alone are read.

        Args:
            paths: files of the table `edge_samples`, of one or several steps each.
            method: whose scores to read.
            n_edges: how many edges there are.

        Raises:
            UserError: a file cannot be read; the first step lacks the method, or has a prompt
                without scores.
        """
        files: dict[int, Path] = {}
        row_groups: dict[int, list[int]] = {}
        for path in map(Path, paths):
            for step, groups in row_groups_of_steps(path, EDGE_SAMPLES).items():
                files[step], row_groups[step] = path, groups
        if not files:
            raise UserError("circuits", "", "no samples of edges were given", "Name a table")
        in_order = dict(sorted(files.items()))
        opened = cls(in_order, row_groups, method, n_edges, np.empty(0, dtype=np.int32))
        examples, _ = opened._read_step(next(iter(opened.files)))
        return replace(opened, examples=examples)

    @property
    def steps(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(self.files)

    def at(self, steps: Sequence[int]) -> "EdgeSamples":
        """The same at some of the steps.

        Raises:
            UserError: a step is missing.
        """
        for step in steps:
            if step not in self.files:
                raise no_step(step, self.files)
        return replace(self, files={step: self.files[step] for step in steps})

    def pooled(self, step: int) -> Float[np.ndarray, "example edge"]:
        """Every prompt's scores, float32, as the mean over the corruptions.

        Raises:
            UserError: the step is missing; it cannot be read, or has other prompts or edges than
                the rest.
        """
        if step not in self.files:
            raise no_step(step, self.files)
        examples, scores = self._read_step(step)
        if not np.array_equal(examples, self.examples):
            raise UserError(
                self.files[step], "example", "other prompts than at the first step", REBUILD
            )
        return scores

    def _read_step(
        self, step: int
    ) -> tuple[Int[np.ndarray, " example"], Float[np.ndarray, "example edge"]]:
        path = self.files[step]
        table = read_row_groups(path, EDGE_SAMPLES, self.row_groups[step])
        table = table.filter(pc.equal(table["step"], step))
        methods = pc.unique(table["method"]).to_pylist()
        table = table.filter(pc.equal(table["method"], self.method))
        if not len(table):
            raise UserError(
                path,
                "method",
                f"no samples of method {self.method}",
                f"Choose among {', '.join(methods)}",
            )
        whole = pc.equal(pc.list_value_length(table["scores"]), self.n_edges)
        if not pc.all(pc.fill_null(whole, False)).as_py():
            raise UserError(
                path, "scores", f"not every prompt has scores of {self.n_edges} edges", REBUILD
            )
        check_no_nulls(pc.list_flatten(table["scores"]), path, "scores")
        corruptions = pc.unique(table["corruption"]).to_pylist()
        examples = np.unique(table["example"].to_numpy())
        total = np.zeros((len(examples), self.n_edges), dtype=np.float32)
        for corruption in corruptions:
            part = table.filter(pc.equal(table["corruption"], corruption))
            rows = part["example"].to_numpy()
            if len(rows) != len(examples) or len(np.unique(rows)) != len(rows):
                raise UserError(
                    path,
                    "example",
                    f"not every prompt has one row under the corruption {corruption}",
                    REBUILD,
                )
            values = part["scores"].combine_chunks().flatten().to_numpy()
            total += values.reshape(-1, self.n_edges)[np.argsort(rows)]
        return examples, total / len(corruptions)
