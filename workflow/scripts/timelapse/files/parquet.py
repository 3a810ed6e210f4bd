"""Parquet files, written with checksums and checked as they are read: the one place that does it.

Parquet's own checksums cover the data of its pages, and not the headers and the footer, where a
flipped bit makes another table. A file therefore also carries a seal in its key-value metadata: a
digest of all its bytes. Files without one, from before or from elsewhere, are read as they are.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from timelapse.errors import UserError

REBUILD = "Delete it and let the workflow build it again"

_SEAL = "timelapse.seal"
_OPEN = b"0" * 32
"""What stands in a seal's place while its digest is taken."""
_digest = partial(hashlib.blake2b, digest_size=len(_OPEN) // 2)
_MARK = _SEAL.encode() + b"\x18\x20"
"""A seal's key as it lies in the footer, then that a string of 32 bytes follows."""


def write(table: pa.Table, path: str | Path) -> None:
    """Write a table; equal tables give equal bytes."""
    with writer(path, table.schema) as file:
        file.write_table(table)


@contextmanager
def writer(path: str | Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A file to write batches to, sealed when all are written."""
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as file:
        yield file
        file.add_key_value_metadata({_SEAL: _OPEN.decode()})
    _seal(Path(path))


def read(path: str | Path, schema: pa.Schema, columns: Sequence[str] = ()) -> pa.Table:
    """A table, strings dictionary-encoded.

    Args:
        path: the file.
        schema: what its table must have.
        columns: those to read; all of the schema's if none is named.

    Raises:
        UserError: it is missing, unreadable, damaged, empty, or lacks a column or has another kind
            of one.
    """
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    return typed(_read(path, columns or schema.names, strings), path, schema, columns)


def row_groups_of_steps(path: str | Path, schema: pa.Schema) -> dict[int, list[int]]:
    """Which row groups of a file hold rows of each step, so that one step can be read by itself.

    The seal of the whole file is checked, without holding its bytes in memory.

    Args:
        path: the file.
        schema: what its table must have; with a column `step`.

    Raises:
        UserError: the file is missing, unreadable, damaged, or lacks a column.
    """
    found: dict[int, list[int]] = {}
    with _opened(path, schema, check_seal=True) as file:
        for name in schema.names:
            if name not in file.schema_arrow.names:
                raise UserError(path, name, "the table lacks this column", REBUILD)
        for group in range(file.num_row_groups):
            steps = file.read_row_group(group, ["step"], use_threads=False)["step"]
            for step in pc.unique(steps).to_pylist():
                found.setdefault(step, []).append(group)
    return found


def read_row_groups(path: str | Path, schema: pa.Schema, groups: Sequence[int]) -> pa.Table:
    """Some row groups of a file, as `read` gives the whole of it.

    Args:
        path: the file, whose seal was checked by `row_groups_of_steps`.
        schema: what its table must have.
        groups: which row groups.

    Raises:
        UserError: the file is missing, unreadable or damaged, or a column has another kind.
    """
    with _opened(path, schema) as file:
        table = file.read_row_groups(list(groups), schema.names, use_threads=False)
    return typed(table, path, schema)


def read_all(path: str | Path) -> pa.Table:
    """All columns of a file, as they are.

    Raises:
        UserError: it is missing, unreadable or damaged.
    """
    return _read(path, None, [])


def typed(
    table: pa.Table, path: str | Path, schema: pa.Schema, columns: Sequence[str] = ()
) -> pa.Table:
    """The columns of a file in the types of a schema; dictionary-encoded strings stay so.

    Args:
        table: what was read of the file.
        path: the file, for messages.
        schema: what its table must have.
        columns: those that are wanted; all of the schema's if none is named.

    Raises:
        UserError: the table is empty, lacks a column or has another kind of one.
    """
    found = {}
    for name in columns or schema.names:
        if name not in table.column_names:
            raise UserError(path, name, "the table lacks this column", REBUILD)
        column, kind = table[name], schema.field(name).type
        try:
            found[name] = _cast(column, kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UserError(path, name, f"the column is not {kind} ({error})", REBUILD) from error
    if not len(table):
        raise UserError(path, "", "the table has no rows", REBUILD)
    return pa.table(found).unify_dictionaries()


def _read(path: str | Path, columns: Sequence[str] | None, strings: Sequence[str]) -> pa.Table:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        remedy = "Let the workflow build it first"
        raise UserError(path, "", "the table does not exist", remedy) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not _sealed_or_without(content):
        raise _unreadable(path, "its bytes are not those that were written")
    try:
        there = pq.read_schema(pa.BufferReader(content)).names
        with pq.ParquetFile(
            pa.BufferReader(content),
            read_dictionary=[name for name in strings if name in there],
            page_checksum_verification=True,
            pre_buffer=False,
        ) as file:
            # Without threads: arrow's pool may abort a process that ends right after it has read
            # (apache/arrow issue 34314), and these tables are small.
            return file.read(columns, use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


@contextmanager
def _opened(
    path: str | Path, schema: pa.Schema, check_seal: bool = False
) -> Iterator[pq.ParquetFile]:
    """A file of which parts are read; raises as `read` does."""
    strings = [field.name for field in schema if pa.types.is_string(field.type)]
    try:
        if check_seal:
            with (
                Path(path).open("rb") as file,
                mmap(file.fileno(), 0, access=ACCESS_READ) as content,
            ):
                if not _sealed_or_without(content):
                    raise _unreadable(path, "its bytes are not those that were written")
        there = pq.read_schema(path).names
        with pq.ParquetFile(
            path,
            read_dictionary=[name for name in strings if name in there],
            page_checksum_verification=True,
            pre_buffer=False,
        ) as opened:
            yield opened
    except FileNotFoundError as error:
        remedy = "Let the workflow build it first"
        raise UserError(path, "", "the table does not exist", remedy) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, why: object) -> UserError:
    reason = " ".join(str(why).split()).rstrip(".")
    return UserError(path, "", f"not a readable Parquet file ({reason})", REBUILD)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    encoded = pa.types.is_dictionary(column.type)
    there = column.type.value_type if encoded else column.type
    if there != kind and pa.types.is_string(kind):
        raise pa.ArrowInvalid(f"it is {there}")
    return column if there == kind else column.cast(kind)


def _seal(path: Path) -> None:
    """Put a file's digest in its place; until then zeros stand there."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, _digest).hexdigest()
        file.seek(-8, 2)
        footer = int.from_bytes(file.read(4), "little")
        start = file.seek(-8 - footer, 2)
        file.seek(start + file.read(footer).rindex(_MARK + _OPEN) + len(_MARK))
        file.write(digest.encode())


def _sealed_or_without(content: bytes | mmap) -> bool:
    """Whether a file's bytes are those that were sealed, or it has no seal."""
    at = content.rfind(_MARK)
    if at < 0:
        return True
    start, end = at + len(_MARK), at + len(_MARK) + len(_OPEN)
    digest = _digest()
    with memoryview(content) as view:
        for part in (view[:start], _OPEN, view[end:]):
            digest.update(part)
    return digest.hexdigest().encode() == content[start:end]
