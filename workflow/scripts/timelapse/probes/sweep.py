"""A probe's way through the checkpoints of a run: one process, one table a checkpoint."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import pyarrow as pa
import torch
from tqdm import tqdm

from timelapse.files.parquet import write
from timelapse.models.device import Device, FittingBatch
from timelapse.models.loading import load_tokenizer
from timelapse.models.prompts import Prompts, encode
from timelapse.tasks.dataset import read_dataset

Model = TypeVar("Model")
Measured: TypeAlias = pa.Table | Mapping[str, pa.Table]
"""A table without `step`, or several by name."""


def sweep(
    each: Callable[[Sequence[Path], str, torch.dtype], Iterator[Model]],
    probe: Callable[[Model, Sequence[Prompts], int], Measured],
    compute: Mapping[str, Any],
    batch: int | Literal["auto"],
    checkpoints: Sequence[Path],
    dataset: Path,
    n_prompts: int,
    tables: Sequence[Path] | Mapping[str, Sequence[Path]],
    title: str,
) -> None:
    """Measure every checkpoint on the first prompts of a dataset and write a table for each.

    Args:
        each: gives the checkpoints as models, `each_model` or `each_bridge`.
        probe: measures a model on prompts in batches of at most a size: a table without `step`, or
            several by name.
        compute: the study's `compute`, see `Device.for_measuring`.
        batch: that size at first; it is halved where memory runs out.
        checkpoints: folders named `step-NNNNNN`.
        dataset: a dataset's Parquet file.
        n_prompts: how many of its prompts to measure; all if there are fewer.
        tables: where the tables go, checkpoint by checkpoint; by name if there are several.
        title: what the progress bar shows.

    Raises:
        UserError: the dataset or a checkpoint cannot be used.
    """
    prompts = first_prompts(dataset, checkpoints[0], n_prompts)
    device = Device.for_measuring(compute, checkpoints[0])
    fitting = FittingBatch(device.batch(batch))
    models = each(checkpoints, device.name, device.dtype)
    measured = (fitting.run(partial(probe, model, prompts)) for model in models)
    write_each(measured, checkpoints, tables, title)


def first_prompts(dataset: Path, checkpoint: Path, n_prompts: int) -> list[Prompts]:
    """The first rows of a dataset in the tokens of a checkpoint."""
    return encode(read_dataset(dataset).slice(0, n_prompts), load_tokenizer(checkpoint), dataset)


def write_each(
    measured: Iterable[Measured],
    checkpoints: Sequence[Path],
    paths: Sequence[Path] | Mapping[str, Sequence[Path]],
    title: str,
) -> None:
    """Write the tables of every checkpoint when it is measured, with its step.

    A checkpoint that has no table among the paths is measured for the others to be compared with.
    """
    by_name = paths if isinstance(paths, Mapping) else {"": paths}
    targets = {(name, path.stem): path for name, all_ in by_name.items() for path in all_}
    bar = tqdm(
        zip(checkpoints, measured, strict=True),
        desc=title,
        total=len(checkpoints),
        unit="checkpoint",
        file=sys.stderr,
    )
    for checkpoint, found in bar:
        tables = found if isinstance(found, Mapping) else {"": found}
        for name in by_name:
            path = targets.pop((name, checkpoint.name), None)
            if path is None:
                continue
            table = tables[name]
            step = pa.array([int(checkpoint.name.removeprefix("step-"))] * len(table), pa.int32())
            write(table.add_column(0, pa.field("step", pa.int32(), nullable=False), step), path)
