"""Tables of results as figures read them: checked, joined over their files, laid out as arrays."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from timelapse.errors import UserError
from timelapse.files.parquet import REBUILD, read
from timelapse.tables import SCHEMAS

Key = str | int | float | bool
"""What a column of keys can hold."""

Label = str | int | float


class InputTables:
    """The table files that a figure is given, by task and table; each is read when it is asked for.

    Attributes:
        tasks: in the order in which they come.
    """

    def __init__(self, paths: Iterable[Path], steps: Collection[int] | None = None) -> None:
        """
        Args:
            paths: files {task}/{table}/{part}.parquet or {task}/{table}.parquet, in any folder.
            steps: the steps that are shown: rows of others, which lie in the same parts, are left
                out. All if None.
        """
        self._paths: dict[tuple[str, str], list[Path]] = {}
        self._steps = None if steps is None else pa.array(sorted(steps), pa.int32())
        for path in paths:
            file = path.with_suffix("") if path.stem in SCHEMAS else path.parent
            self._paths.setdefault((file.parent.name, file.name), []).append(path)
        self.tasks = tuple(dict.fromkeys(task for task, _ in self._paths))

    def has(self, task: str, name: str) -> bool:
        """Whether such a table was given."""
        return (task, name) in self._paths

    def table(self, task: str, name: str) -> pa.Table:
        """The rows of all files of a table, strings dictionary-encoded.

        Args:
            task: whose table.
            name: of the table, as in `tables.SCHEMAS`.

        Raises:
            UserError: it was not given; a file is missing, unreadable, empty or lacks a column; or
                no file has a row of the steps that are shown.
        """
        joined = pa.concat_tables(
            [read(path, SCHEMAS[name]) for path in self._files(task, name)],
            promote_options="default",
        ).unify_dictionaries()
        if self._steps is None or "step" not in joined.column_names:
            return joined
        shown = joined.filter(pc.is_in(joined["step"], self._steps))
        if not len(shown):
            steps = ", ".join(map(str, self._steps.to_pylist()))
            raise UserError(
                self.source(task, name),
                "step",
                f"no table of step {steps}",
                "Measure this checkpoint first",
            )
        return shown

    def source(self, task: str, name: str) -> Path:
        """The table's folder, or its one file, for messages."""
        first = self._files(task, name)[0]
        return first if first.stem == name else first.parent

    def _files(self, task: str, name: str) -> list[Path]:
        if (task, name) not in self._paths:
            raise UserError(
                "figures", name, f"no such table of {task} was given", "Measure it first"
            )
        return self._paths[task, name]


def where(table: pa.Table, conditions: Mapping[str, Key], source: str | Path) -> pa.Table:
    """The rows in which every named column has the given value.

    Raises:
        UserError: there are none.
    """
    mask = pa.array(np.ones(len(table), dtype=bool))
    for name, wanted in conditions.items():
        mask = pc.and_(mask, pc.equal(table[name], wanted))
    chosen = table.filter(mask)
    if not len(chosen):
        wish = ", ".join(f"{name} = {wanted}" for name, wanted in conditions.items())
        raise UserError(source, "", f"no row has {wish or 'a value'}", REBUILD)
    return chosen


def first_method(table: pa.Table) -> pa.Table:
    """The rows of the method that comes first in a table."""
    return table.filter(pc.equal(table["method"], pc.unique(table["method"])[0]))


@dataclass(frozen=True)
class Pivot:
    """Values on a grid: the step first, then one axis for each column that was asked for.

    Attributes:
        steps: the steps, ascending.
        labels: the labels along each further axis.
        value: the values; nan where the table has no row.
        error: their standard errors; nan where there is none.
    """

    steps: Int[np.ndarray, " step"]
    labels: tuple[tuple[Label, ...], ...]
    value: Float[np.ndarray, " step *axes"]
    error: Float[np.ndarray, " step *axes"]


def pivot(
    table: pa.Table,
    axes: Sequence[str],
    source: str | Path,
    value: str = "value",
    error: str = "std_error",
    order: str | None = None,
) -> Pivot:
    """Lay a tidy table out as a grid over steps and `axes`.

    Numbers are sorted along their axis; names keep the order in which they appear, after sorting
    by the column `order` (null first) if one is given. Rows with a null on an axis are left out.

    Raises:
        UserError: two rows fall on the same place, or no row is left.
    """
    for axis in axes:
        table = table.filter(pc.is_valid(table[axis]))
    if not len(table):
        raise UserError(source, axes[0], "every row is null here", REBUILD)
    if order is not None:
        table = table.take(
            pc.sort_indices(table.select([order]), sort_keys=[(order, "ascending", "at_start")])
        )
    labels, codes = zip(*(_axis(table[name]) for name in ("step", *axes)), strict=True)
    shape = tuple(len(axis) for axis in labels)
    flat = np.ravel_multi_index(codes, shape)
    counts = np.bincount(flat, minlength=1)
    if counts.max() > 1:
        first = np.unravel_index(int(counts.argmax()), shape)
        found = zip(("step", *axes), labels, first, strict=True)
        place = ", ".join(f"{name} {axis[at]}" for name, axis, at in found)
        raise UserError(source, "", f"two rows stand for {place}", REBUILD)
    grids = []
    for column in (value, error):
        grid = np.full(shape, np.nan)
        grid.flat[flat] = table[column].to_numpy(zero_copy_only=False)
        grids.append(grid)
    return Pivot(np.array(labels[0]), labels[1:], *grids)


def _axis(column: pa.ChunkedArray) -> tuple[tuple[Label, ...], Int[np.ndarray, " row"]]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy()
    if pa.types.is_string(column.type):
        return tuple(names), codes
    order = np.argsort(names)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return tuple(names[at] for at in order), rank[codes]
