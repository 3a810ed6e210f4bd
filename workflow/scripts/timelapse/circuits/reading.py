"""What the values of circuit tables must be like. Stage: circuits. Free of torch."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from timelapse.errors import UserError
from timelapse.files.parquet import REBUILD


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
