"""Parquet files of one run and task, checked as they are read. Stage: circuits. Free of torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
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
        UserError: it is missing, unreadable, empty, or lacks a column.
    """
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    try:
        with pq.ParquetFile(path, read_dictionary=strings) as file:
            table = file.read(list(columns) or schema.names)
    except FileNotFoundError as error:
        raise UserError(
            path, "", "the table does not exist", "Let the workflow build it first"
        ) from error
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(path, "", f"not a readable Parquet file ({error})", REBUILD) from error
    missing = [name for name in columns or schema.names if name not in table.column_names]
    if missing:
        raise UserError(path, missing[0], "the table lacks this column", REBUILD)
    if not len(table):
        raise UserError(path, "", "the table has no rows", REBUILD)
    return table.unify_dictionaries()


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
