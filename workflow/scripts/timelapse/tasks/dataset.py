"""Datasets on disk: one Parquet file per split of a task."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from timelapse.errors import UserError
from timelapse.files.parquet import REBUILD, read_all, typed, writer
from timelapse.tasks.spec import TaskSpec, dataset_schema


def write_datasets(spec: TaskSpec, seed: int, paths: Mapping[str, Path]) -> None:
    """Expand a task and write its splits; memory stays that of a batch.

    Args:
        spec: the task.
        seed: of the study.
        paths: per split (train, validation, test) where it goes; other splits are not written.
    """
    # Here, for it imports pandas, which whoever reads datasets need not.
    from timelapse.tasks.expansion import expand

    schema = dataset_schema(spec.corruption_names)
    with ExitStack() as files:
        writers = {}
        for split, path in paths.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            writers[split] = files.enter_context(writer(path, schema))
        for split, rows in expand(spec, seed):
            if split in writers:
                writers[split].write_batch(rows)


def read_dataset(path: str | Path) -> pa.Table:
    """Read a dataset and check that it is one.

    Raises:
        UserError: the file is missing or damaged, has other columns, or is empty.
    """
    table = read_all(path)
    expected = dataset_schema(corruption_names(table.schema))
    if len(expected) == len(dataset_schema([])):
        problem = "the dataset has no corruption, no column corrupted_NAME"
        raise UserError(path, "", problem, REBUILD)
    return typed(table, path, expected)


def corruption_names(schema: pa.Schema) -> tuple[str, ...]:
    """The corruptions that a dataset carries."""
    prefix = "corrupted_"
    return tuple(name.removeprefix(prefix) for name in schema.names if name.startswith(prefix))


def read_texts(path: str | Path) -> list[str]:
    """The prompts of a dataset, each with its answer.

    Raises:
        UserError: as `read_dataset`.
    """
    columns = read_dataset(path).select(["prompt", "answer"]).to_pydict()
    return [f"{prompt} {answer}" for prompt, answer in zip(*columns.values(), strict=True)]
