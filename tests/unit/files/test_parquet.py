"""Parquet files: what was written comes back, or the file is named; never another table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timelapse.errors import UserError
from timelapse.files.parquet import read, read_all, write, writer
from timelapse.tables import EDGE_SAMPLES, EDGES


def edges(step: int = 0, n: int = 60) -> pa.Table:
    draw = np.random.default_rng(step)
    return pa.table(
        {
            "step": pa.array([step] * n, pa.int32()),
            "corruption": ["first", "abc"] * (n // 2),
            "method": ["EAP"] * n,
            "source": [f"a{number % 3}.h{number % 2}" for number in range(n)],
            "target": [None if number % 7 == 0 else f"m{number % 5}" for number in range(n)],
            "score": draw.normal(size=n).astype(np.float32),
            "std_error": draw.normal(size=n).astype(np.float32),
        },
        schema=EDGES,
    )


def samples() -> pa.Table:
    scores = [np.arange(5, dtype=np.float32) + number for number in range(3)]
    return pa.table(
        {
            "step": pa.array([0] * 3, pa.int32()),
            "corruption": ["abc"] * 3,
            "method": ["EAP"] * 3,
            "example": pa.array(range(3), pa.int32()),
            "scores": scores,
        },
        schema=EDGE_SAMPLES,
    )


def test_equal_tables_give_equal_bytes_and_come_back_equal(tmp_path: Path) -> None:
    for name in "ab":
        write(edges(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_all(tmp_path / "a").equals(edges())
    assert read(tmp_path / "a", EDGES).cast(EDGES).equals(edges())
    assert read(tmp_path / "a", EDGES, ["score"]).equals(edges().select(["score"]))


def test_a_folder_of_tables_is_one_dataset_for_others(tmp_path: Path) -> None:
    for step in (0, 2):
        write(edges(step), tmp_path / f"step-{step:06d}.parquet")
    table = pq.read_table(tmp_path, page_checksum_verification=True)
    assert table.schema.equals(EDGES)
    assert table.equals(pa.concat_tables([edges(0), edges(2)]))


def test_batches_are_one_sealed_table(tmp_path: Path) -> None:
    path = tmp_path / "batches"
    with writer(path, EDGES) as file:
        for step in range(3):
            (batch,) = edges(step).to_batches()
            file.write_batch(batch)
    assert read_all(path).equals(pa.concat_tables(edges(step) for step in range(3)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        read_all(path)


@pytest.mark.parametrize("table", [edges(n=10), samples()], ids=["edges", "samples"])
def test_no_flipped_bit_gives_another_table(tmp_path: Path, table: pa.Table) -> None:
    path = tmp_path / "table.parquet"
    write(table, path)
    content, wanted = path.read_bytes(), read(path, table.schema)
    refused = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert read(path, table.schema).equals(wanted), place
        except UserError as error:
            assert error.source == str(path)
            refused += 1
    assert refused > 0.95 * len(content)


def test_a_truncated_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write(edges(n=10), path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=str(path)):
            read(path, EDGES)


def test_a_file_without_a_seal_is_read_and_its_schema_checked(tmp_path: Path) -> None:
    path = tmp_path / "older.parquet"
    pq.write_table(edges(), path)
    assert read(path, EDGES).cast(EDGES).equals(edges())
    with pytest.raises(UserError, match="example: the table lacks this column"):
        read(path, EDGE_SAMPLES)
    pq.write_table(edges().drop_columns(["method"]), path)
    with pytest.raises(UserError, match="method: the table lacks this column"):
        read(path, EDGES)


def test_a_table_that_others_have_rewritten_is_theirs_and_has_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write(edges(), path)
    pq.write_table(pq.read_table(path).slice(3), path)
    assert read(path, EDGES).cast(EDGES).equals(edges().slice(3))
