"""The tables of scored edges read back, as arrays in the order of `GraphShape.edges`.

Free of torch, because figures, comparisons and exports read them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from timelapse.circuits.graph import GraphShape, edge_numbers, shape_of
from timelapse.errors import UserError
from timelapse.files.parquet import REBUILD, read
from timelapse.tables import EDGES

Key = tuple[int, str, str]
"""Step, corruption and method."""

_ByKey = dict[Key, Float[np.ndarray, " edge"]]


@dataclass(frozen=True)
class ScoredEdges:
    """The scores of all edges at several steps, under several corruptions, by several methods.

    Attributes:
        shape: the graph of the model.
        files: the file of every step.
        means: mean scores over prompts by step, corruption and method.
        errors: their standard errors, likewise.
    """

    shape: GraphShape
    files: Mapping[int, Path]
    means: Mapping[Key, Float[np.ndarray, " edge"]]
    errors: Mapping[Key, Float[np.ndarray, " edge"]]

    @classmethod
    def read(cls, paths: Iterable[str | Path]) -> "ScoredEdges":
        """Read edges tables of one run and task; rows that score whole nodes are left out.

        Raises:
            UserError: a file cannot be read, names no graph or another one than the first,
                lacks edges of its graph, or an edge has no score.
        """
        shape: GraphShape | None = None
        files: dict[int, Path] = {}
        means: _ByKey = {}
        errors: _ByKey = {}
        for path in map(Path, paths):
            part = cls.of(read(path, EDGES), path, shape)
            shape = part.shape
            files |= part.files
            means |= part.means
            errors |= part.errors
        if shape is None:
            raise UserError("circuits", "", "no table of edges was given", "Name at least one")
        return cls(shape, dict(sorted(files.items())), means, errors)

    @classmethod
    def of(cls, table: pa.Table, path: Path, shape: GraphShape | None = None) -> "ScoredEdges":
        """Lay an edges table out as arrays.

        Args:
            table: of one or several steps, methods and corruptions.
            path: where it is from, for messages.
            shape: the graph that it must be of; read off the names of its nodes if None.

        Raises:
            UserError: the table scores no edge, names no graph or another one, lacks edges of its
                graph, or an edge has no score.
        """
        table = table.filter(pc.is_valid(table["target"])).unify_dictionaries()
        if not len(table):
            raise UserError(path, "target", "the table scores no edge", REBUILD)
        check_no_nulls(table["score"], path, "score")
        try:
            shape = shape or _shape(table)
            edge = edge_numbers(table, shape)
        except ValueError as error:
            raise UserError(path, "source", str(error), REBUILD) from error
        files, means, errors = {}, {}, {}
        columns = {name: table[name].to_numpy() for name in ("score", "std_error")}
        for key, rows in _groups(table):
            files[key[0]] = path
            means[key], errors[key] = (
                _in_order(column[rows], edge[rows], shape, path, key) for column in columns.values()
            )
        return cls(shape, dict(sorted(files.items())), means, errors)

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(self.files)

    @cached_property
    def corruptions(self) -> tuple[str, ...]:
        """In the order of the tables."""
        return tuple(dict.fromkeys(corruption for _, corruption, _ in self.means))

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """In the order of the tables."""
        return tuple(dict.fromkeys(method for _, _, method in self.means))

    def scores(self, step: int, corruption: str, method: str) -> Float[np.ndarray, " edge"]:
        """Mean scores over prompts.

        Raises:
            UserError: there are none, naming the file that lacks them.
        """
        return self._at(self.means, step, corruption, method)

    def std_errors(self, step: int, corruption: str, method: str) -> Float[np.ndarray, " edge"]:
        """Standard errors of `scores`; raises as it does."""
        return self._at(self.errors, step, corruption, method)

    def pooled(self, step: int, method: str) -> Float[np.ndarray, " edge"]:
        """The mean of the scores over all corruptions; raises as `scores` does."""
        return np.mean([self.scores(step, name, method) for name in self.corruptions], axis=0)

    def _at(
        self,
        values: Mapping[Key, Float[np.ndarray, " edge"]],
        step: int,
        corruption: str,
        method: str,
    ) -> Float[np.ndarray, " edge"]:
        found = values.get((step, corruption, method))
        if found is not None:
            return found
        if step not in self.files:
            raise no_step(step, self.files)
        present = ", ".join(f"{key[2]} under {key[1]}" for key in self.means if key[0] == step)
        raise UserError(
            self.files[step],
            "method",
            f"no edges of method {method} under the corruption {corruption} at step {step}",
            f"Choose among {present}, or add what is missing to the study",
        )


def _shape(table: pa.Table) -> GraphShape:
    """The graph of a table of edges; its MLPs are parallel if none reads the heads beside it."""
    sources, targets = pc.unique(table["source"]), pc.unique(table["target"])
    shape = shape_of({*sources.to_pylist(), *targets.to_pylist()})
    beside = pc.and_(pc.equal(table["source"], "a0.h0"), pc.equal(table["target"], "m0"))
    return shape if pc.any(beside).as_py() else replace(shape, parallel=True)


def _groups(table: pa.Table) -> Iterable[tuple[Key, Int[np.ndarray, " row"]]]:
    """The rows of every step, corruption and method."""
    names = ("step", "corruption", "method")
    columns = [table[name].combine_chunks().dictionary_encode() for name in names]
    labels = [column.dictionary.to_pylist() for column in columns]
    codes = [column.indices.to_numpy() for column in columns]
    flat = np.ravel_multi_index(codes, [len(label) for label in labels])
    for code in dict.fromkeys(flat.tolist()):
        places = np.unravel_index(code, [len(label) for label in labels])
        step, corruption, method = (
            label[place] for label, place in zip(labels, places, strict=True)
        )
        yield (step, corruption, method), np.flatnonzero(flat == code)


def _in_order(
    values: Float[np.ndarray, " row"],
    edge: Int[np.ndarray, " row"],
    shape: GraphShape,
    path: Path,
    key: Key,
) -> Float[np.ndarray, " edge"]:
    counts = np.bincount(edge, minlength=len(shape.edges))
    if (counts != 1).any():
        first = int((counts != 1).argmax())
        source, target = shape.edges[first]
        step, corruption, method = key
        raise UserError(
            path,
            "",
            f"{counts[first]} rows for the edge {source.name} -> {target.name} "
            f"(step {step}, corruption {corruption}, method {method})",
            REBUILD,
        )
    ordered = np.empty(len(values), dtype=np.float32)
    ordered[edge] = values
    return ordered


def check_no_nulls(values: pa.ChunkedArray, path: Path, column: str) -> None:
    """Check that every value is a finite number.

    Raises:
        UserError: one is null, NaN or infinite.
    """
    finite = pc.fill_null(pc.is_finite(values), False)
    if not pc.all(finite).as_py():
        first = values[pc.index(finite, False).as_py()].as_py()
        shown = "nothing" if first is None else f"{first}"
        raise UserError(path, column, f"{shown} stands where a number is wanted", REBUILD)


def no_step(step: int, files: Mapping[int, Path]) -> UserError:
    """What to say if a step was asked for that none of its files has."""
    folder = next(iter(files.values())).parent
    there = ", ".join(map(str, files))
    return UserError(
        folder,
        "step",
        f"no table of step {step} was given",
        f"There are {there}; keep that step in the run",
    )
