"""The scores of edges prompt by prompt, read back. Stage: circuits. Free of torch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float, Int

from timelapse.circuits.score_tables import no_step, refuse_gaps
from timelapse.errors import UserError
from timelapse.files.parquet import REBUILD, read
from timelapse.tables import EDGE_SAMPLES


@dataclass(frozen=True)
class EdgeSamples:
    """The scores of all edges prompt by prompt, read from the file of a step when asked for.

    Attributes:
        files: the file of every step.
        method: whose scores they are.
        n_edges: how many edges every prompt has a score of.
        examples: the prompts' rows in the dataset, ascending, the same at every step.
    """

    files: Mapping[int, Path]
    method: str
    n_edges: int
    examples: Int[np.ndarray, "example"]

    @classmethod
    def open(cls, paths: Iterable[str | Path], method: str, n_edges: int) -> "EdgeSamples":
        """See which steps and prompts there are; only the file of the first step is read.

        Args:
            paths: files of the table `edge_samples`, of one or several steps each.
            method: whose scores to read.
            n_edges: how many edges there are.

        Raises:
            UserError: a file cannot be read; the first one lacks the method, or has a prompt
                without scores.
        """
        files = {
            step: path
            for path in map(Path, paths)
            for step in pc.unique(read(path, EDGE_SAMPLES, ["step"])["step"]).to_pylist()
        }
        if not files:
            raise UserError("circuits", "", "no samples of edges were given", "Name a table")
        opened = cls(dict(sorted(files.items())), method, n_edges, np.empty(0, dtype=np.int32))
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
            UserError: the step is missing; its file cannot be read, or has other
                 prompts or edges than the rest.
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
    ) -> tuple[Int[np.ndarray, "example"], Float[np.ndarray, "example edge"]]:
        path = self.files[step]
        table = read(path, EDGE_SAMPLES)
        table = table.filter(pc.equal(table["step"], step))
        table = table.filter(pc.equal(table["method"], self.method))
        if not len(table):
            there = ", ".join(pc.unique(read(path, EDGE_SAMPLES, ["method"])["method"]).to_pylist())
            raise UserError(
                path, "method", f"no samples of method {self.method}", f"Choose among {there}"
            )
        whole = pc.equal(pc.list_value_length(table["scores"]), self.n_edges)
        if not pc.all(pc.fill_null(whole, False)).as_py():
            raise UserError(
                path, "scores", f"not every prompt has scores of {self.n_edges} edges", REBUILD
            )
        refuse_gaps(pc.list_flatten(table["scores"]), path, "scores")
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
