"""Parquet files, written with checksums and checked as they are read: the one place that does it.

Parquet's own checksums cover the data of its pages, and not the headers and the footer, where a
flipped bit makes another table. A file therefore also carries a seal in its key-value metadata: a
digest of all its bytes. Files without one, from before or from elsewhere, are read as they are.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
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


def _sealed_or_without(content: bytes) -> bool:
    """Whether a file's bytes are those that were sealed, or it has no seal."""
    at = content.rfind(_MARK)
    if at < 0:
        return True
    start, end = at + len(_MARK), at + len(_MARK) + len(_OPEN)
    digest, view = _digest(), memoryview(content)
    for part in (view[:start], _OPEN, view[end:]):
        digest.update(part)
    return digest.hexdigest().encode() == content[start:end]
