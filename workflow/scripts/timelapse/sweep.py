"""A probe's way through the checkpoints of a part: one process, one file for each table.

The files have a row group for each checkpoint, in the order of the steps.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from timelapse.errors import UserError
from timelapse.files.parquet import writer
from timelapse.models.device import Device, FittingBatch
from timelapse.models.loading import each_bridge, each_model, load_tokenizer
from timelapse.models.metric import METRICS
from timelapse.models.prompts import Prompts, encode
from timelapse.paths import step_folder, step_of, tables_of
from timelapse.probes.registry import PROBES, Probe
from timelapse.tasks.dataset import read_dataset


@dataclass(frozen=True)
class Measurement:
    """What a job measures, as its rule's params say.

    Attributes:
        probe: the name of the probe.
        task: on which task.
        steps: of the part's checkpoints, ascending.
        first: the run's first step.
        settings: the probe's.
        corruptions: the names of the task's corruptions.
        seed: the study's.
        compute: the study's; see `Device.for_measuring`.
        metric: the name of the task's metric.
        method: the study's first method of scoring edges, for probes that read edges.
        compared: the steps whose circuits are compared, for probes that read those of all.
        activations: `dtype` and `rows` of the study's, for probes that read activations.
    """

    probe: str
    task: str
    steps: Sequence[int]
    first: int
    settings: Mapping[str, Any]
    corruptions: Sequence[str]
    seed: int
    compute: Mapping[str, Any]
    metric: str = "logit_diff"
    method: str | None = None
    compared: Sequence[int] = ()
    activations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cache:
    """Where activations are kept.

    Attributes:
        folder: the study's store.
        cap_gb: largest size in 10^9 bytes; 0 keeps none.
    """

    folder: Path
    cap_gb: float


def measure(
    measurement: Measurement,
    checkpoints: Path,
    dataset: Path,
    inputs: Sequence[Path],
    outputs: Mapping[str, Path],
    cache: Cache,
) -> None:
    """Measure every checkpoint of a part and write the probe's tables.

    Args:
        measurement: what is measured.
        checkpoints: a run's folder of checkpoints.
        dataset: a dataset's Parquet file.
        inputs: the files of the other probes' tables that this one reads.
        outputs: where the tables go, by name; others that the function returns are not written.
        cache: where activations are kept.

    Raises:
        UserError: a checkpoint is missing, or it, the dataset or a table cannot be used.
    """
    probe = PROBES[measurement.probe]
    settings = probe.settings.model_validate(measurement.settings)
    folders = [step_folder(checkpoints, step) for step in measurement.steps]
    first = step_folder(checkpoints, measurement.first)
    needed = [first, *folders] if probe.first else folders
    check_folders(needed)

    device = Device.for_measuring(measurement.compute, folders[0])
    fitting = FittingBatch(device.batch(settings.batch))
    function = resolve_name(probe.function)
    prepare = resolve_name(probe.prepare) if probe.prepare else None
    open_models: Callable[..., Iterator[Any]] = (
        each_bridge if probe.model == "bridge" else each_model
    )
    models = partial(open_models, device=device.name, dtype=device.dtype)
    source: Callable[[Any, Path], Any] | None = None
    if probe.needs:
        # By name, because a probe that reads no activations does not depend on how they are kept.
        cached = resolve_name(CACHED)(probe.needs, measurement.activations, cache)
        prompts = cached.read_prompts(dataset, needed, settings.prompts)
        source = cached.source
    else:
        prompts = first_prompts(dataset, folders[0], settings.prompts)
    offered = {
        **dict(settings),
        "settings": settings,
        "prompts": prompts,
        "dataset": dataset,
        "inputs": tables_of(inputs),
        "metric": METRICS[measurement.metric],
        **{
            name: getattr(measurement, name)
            for name in ("task", "steps", "compared", "corruptions", "method", "seed")
        },
    }

    def measured() -> Iterator[pa.Table | Mapping[str, pa.Table]]:
        beside = next(models([first])) if probe.first == "beside" else None
        before = [first] if probe.first == "before" else []
        swept = [*before, *folders]
        for number, (folder, model) in enumerate(zip(swept, models(swept), strict=True)):
            if number == 0 and prepare:
                reference = (folder, model) if beside is None else (first, beside)
                offered["prepared"] = fitting.run(partial(measured_by, prepare, *reference))
            if number >= len(before):
                yield fitting.run(partial(measured_by, function, folder, model))

    def measured_by(function: Callable[..., Any], folder: Path, model: Any, batch_size: int) -> Any:
        of_checkpoint = {
            "step": step_of(folder),
            "bridge": model,
            "model": model,
            "batch_size": batch_size,
            "source": source(model, folder) if source else None,
        }
        return call(function, offered | of_checkpoint)

    title = f"{probe.name} on {measurement.task}"
    write_tables(measured(), measurement.steps, outputs, probe, title)


CACHED = "timelapse.probes.sweep_cached:CachedActivations"


def call(function: Callable[..., Any], offered: Mapping[str, Any]) -> Any:
    """Call a function with those of the offered arguments that it has a parameter for."""
    names = inspect.signature(function).parameters
    return function(**{name: offered[name] for name in names if name in offered})


def check_folders(folders: Iterable[Path]) -> None:
    """Check that the checkpoints of a part are there.

    Raises:
        UserError: one is missing.
    """
    for folder in folders:
        if not folder.is_dir():
            remedy = f"Delete {folder.parent} and run again: all checkpoints are then written anew"
            raise UserError(folder, "", "the checkpoint is missing", remedy)


def first_prompts(dataset: Path, checkpoint: Path, n_prompts: int) -> list[Prompts]:
    """The first rows of a dataset in the tokens of a checkpoint, in buckets of one length.

    Raises:
        UserError: the dataset or the tokenizer cannot be used.
    """
    return encode(read_dataset(dataset).slice(0, n_prompts), load_tokenizer(checkpoint), dataset)


def write_tables(
    measured: Iterable[pa.Table | Mapping[str, pa.Table]],
    steps: Sequence[int],
    outputs: Mapping[str, Path],
    probe: Probe,
    title: str,
) -> None:
    """Write the tables of every checkpoint as soon as it is measured, with its step.

    Args:
        measured: the tables of the checkpoints, one after the other; a single table may come
            without its name.
        steps: of the checkpoints.
        outputs: where the tables go, by name.
        probe: names the tables and their schemas.
        title: what the progress bar shows.
    """
    bar = tqdm(
        zip(steps, measured, strict=True),
        desc=title,
        total=len(steps),
        unit="checkpoint",
        file=sys.stderr,
    )
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(whole_file(path, probe.tables[name]))
            for name, path in outputs.items()
        }
        for step, found in bar:
            tables = {probe.name: found} if isinstance(found, pa.Table) else found
            for name, file in files.items():
                file.write_table(with_step(tables[name], step, probe.tables[name]))


@contextmanager
def whole_file(path: Path, schema: pa.Schema) -> Iterator[Any]:
    """A Parquet file to write row groups to, which has its name when all are written."""
    part = path.with_name(f".{path.name}.part")
    try:
        with writer(part, schema) as file:
            yield file
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def with_step(table: pa.Table, step: int, schema: pa.Schema) -> pa.Table:
    """A checkpoint's table with its step as the first column, where the schema has one."""
    if "step" not in schema.names:
        return table
    steps = pa.array([step] * len(table), pa.int32())
    return table.add_column(0, schema.field("step"), steps)
