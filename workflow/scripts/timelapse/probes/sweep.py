"""A probe's way through the checkpoints of a run: one process, one table a checkpoint."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from timelapse.models.loading import load_tokenizer
from timelapse.models.prompts import Prompts, encode
from timelapse.tasks.dataset import read_dataset

Model = TypeVar("Model")


def sweep(
    each: Callable[[Sequence[Path], str], Iterator[Model]],
    probe: Callable[[Model, Sequence[Prompts]], pa.Table | Mapping[str, pa.Table]],
    checkpoints: Sequence[Path],
    dataset: Path,
    n_prompts: int,
    tables: Sequence[Path] | Mapping[str, Sequence[Path]],
    title: str,
) -> None:
    """Measure every checkpoint on the first prompts of a dataset and write a table for each.

    Args:
        each: gives the checkpoints as models, `each_model` or `each_bridge`.
        probe: measures a model: a table without `step`, or several by name.
        checkpoints: folders named `step-NNNNNN`.
        dataset: a dataset's Parquet file.
        n_prompts: how many of its prompts to measure; all if there are fewer.
        tables: where the tables go, checkpoint by checkpoint; by name if there are several.
        title: what the progress bar shows.

    Raises:
        UserError: the dataset or a checkpoint cannot be used.
    """
    prompts = encode(
        read_dataset(dataset).slice(0, n_prompts), load_tokenizer(checkpoints[0]), dataset
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    paths = tables if isinstance(tables, Mapping) else {"": tables}
    bar = tqdm(
        zip(checkpoints, each(checkpoints, device), strict=True),
        desc=title,
        total=len(checkpoints),
        unit="checkpoint",
        file=sys.stderr,
    )
    for number, (checkpoint, model) in enumerate(bar):
        measured = probe(model, prompts)
        by_name = measured if isinstance(measured, Mapping) else {"": measured}
        for name in paths:
            write_step(by_name[name], checkpoint, paths[name][number])


def write_step(measured: pa.Table, checkpoint: Path, path: Path) -> None:
    """Write the table of a checkpoint with its step in front."""
    step = pa.array([int(checkpoint.name.removeprefix("step-"))] * len(measured), pa.int32())
    pq.write_table(measured.add_column(0, pa.field("step", pa.int32(), nullable=False), step), path)
