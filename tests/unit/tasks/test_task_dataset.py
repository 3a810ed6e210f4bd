"""Datasets on disk: what is written is read back, and what is no dataset is named."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timelapse.errors import UserError
from timelapse.tasks.dataset import corruption_names, read_dataset, write_datasets
from timelapse.tasks.spec import load_spec

SPLITS = ("train", "validation", "test")


@pytest.fixture
def datasets(write_task: Callable[..., Path], tmp_path: Path) -> dict[str, Path]:
    paths = {split: tmp_path / "small" / f"{split}.parquet" for split in SPLITS}
    write_datasets(load_spec(write_task()), 0, paths)
    return paths


def test_every_split_is_written_with_its_size_and_ids_of_its_own(
    datasets: dict[str, Path],
) -> None:
    tables = {split: read_dataset(path) for split, path in datasets.items()}
    assert {split: len(table) for split, table in tables.items()} == {
        "train": 8,
        "validation": 2,
        "test": 4,
    }
    ids = [key for table in tables.values() for key in table["example_id"].to_pylist()]
    assert len(set(ids)) == 14
    assert corruption_names(tables["test"].schema) == ("flip", "abc")


def test_the_same_seed_writes_the_same_bytes(
    write_task: Callable[..., Path], datasets: dict[str, Path], tmp_path: Path
) -> None:
    for seed, is_same in ((0, True), (1, False)):
        again = {split: tmp_path / str(seed) / split for split in SPLITS}
        write_datasets(load_spec(write_task()), seed, again)
        same = [again[split].read_bytes() == datasets[split].read_bytes() for split in SPLITS]
        assert same == [is_same] * 3


def test_only_the_splits_asked_for_are_written_and_they_are_the_same(
    write_task: Callable[..., Path], datasets: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "alone.parquet"
    write_datasets(load_spec(write_task()), 0, {"train": path})
    assert path.read_bytes() == datasets["train"].read_bytes()


def _without(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([name])


@pytest.mark.parametrize(
    ("change", "key", "problem"),
    [
        (lambda table: table.slice(0, 0), "", "no rows"),
        (_without("prompt"), "prompt", "lacks this column"),
        (_without("answer_flip"), "answer_flip", "lacks this column"),
        (lambda table: table.select(table.schema.names[:6]), "", "no corruption"),
        (
            lambda table: table.set_column(3, "answer", pa.array([1] * len(table))),
            "answer",
            "the column is not string (it is int64)",
        ),
    ],
)
def test_a_table_that_is_no_dataset_is_refused(
    datasets: dict[str, Path], change: Callable[[pa.Table], pa.Table], key: str, problem: str
) -> None:
    path = datasets["test"]
    pq.write_table(change(read_dataset(path)), path)
    with pytest.raises(UserError) as caught:
        read_dataset(path)
    assert (caught.value.source, caught.value.key) == (str(path), key)
    assert problem in caught.value.problem


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "folder"])
def test_a_file_that_cannot_be_read_is_refused(datasets: dict[str, Path], damage: str) -> None:
    path = datasets["test"]
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    problem = "does not exist" if damage == "missing" else "not a readable Parquet file"
    with pytest.raises(UserError, match=problem) as caught:
        read_dataset(path)
    assert caught.value.source == str(path)
