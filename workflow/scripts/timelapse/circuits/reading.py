"""Parquet files of one run and task, checked as they are read. Stage: circuits. Free of torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from timelapse.errors import UserError

REBUILD = "Delete it and let the workflow build it again"


def read_table(path: Path, schema: pa.Schema, columns: Sequence[str] = ()) -> pa.Table:
    """One file, strings dictionary-encoded.

    Args:
        path: the file.
        schema: what its table must have.
        columns: those to read; all of the schema's if none is named.

    Raises:
        UserError: it is missing, unreadable, empty, or lacks a column or has another kind of one.
    """
    names = list(columns) or schema.names
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    try:
        with pq.ParquetFile(path, read_dictionary=strings) as file:
            table = file.read(names)
    except FileNotFoundError as error:
        raise UserError(
            path, "", "the table does not exist", "Let the workflow build it first"
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(path, "", f"not a readable Parquet file ({error})", REBUILD) from error
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise UserError(path, missing[0], "the table lacks this column", REBUILD)
    if not len(table):
        raise UserError(path, "", "the table has no rows", REBUILD)
    return _typed(table, schema, names, path).unify_dictionaries()


def refuse_gaps(values: pa.ChunkedArray, path: Path, column: str) -> None:
    """Whether every value is a finite number.

    Raises:
        UserError: one is null, NaN or infinite.
    """
    finite = pc.fill_null(pc.is_finite(values), False)
    if not pc.all(finite).as_py():
        first = values[pc.index(finite, False).as_py()].as_py()
        shown = "nothing" if first is None else f"{first}"
        raise UserError(path, column, f"{shown} stands where a number is wanted", REBUILD)


def _typed(table: pa.Table, schema: pa.Schema, names: Sequence[str], path: Path) -> pa.Table:
    """The columns in the types of the schema, strings dictionary-encoded."""
    columns = {}
    for name in names:
        kind = schema.field(name).type
        kind = pa.dictionary(pa.int32(), kind) if pa.types.is_string(kind) else kind
        try:
            columns[name] = table[name].cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            wanted = schema.field(name).type
            raise UserError(path, name, f"the column is not {wanted} ({error})", REBUILD) from error
    return pa.table(columns)


def no_step(step: int, files: Mapping[int, Path]) -> UserError:
    """What to say if a step was asked for that none of its files has."""
    folder = next(iter(files.values())).parent
    there = ", ".join(map(str, files))
    return UserError(
        folder / f"step-{step:06d}.parquet",
        "step",
        f"no table of step {step} was given",
        f"There are {there}; keep that step in the run",
    )
