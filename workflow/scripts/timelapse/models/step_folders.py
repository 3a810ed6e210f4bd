"""Which checkpoints a job measures. Free of torch."""

from collections.abc import Iterable
from pathlib import Path

from timelapse.errors import UserError


def measured_checkpoints(folders: Iterable[str], tables: Iterable[str]) -> list[Path]:
    """The folders of the checkpoints that a job measures, each once.

    The input of a long run's jobs does not list them: Snakemake neither waits for one that a shared
    disk shows late nor misses one that is lost. The job ends here, and the profile's `retries` make
    another attempt.

    Args:
        folders: as the job's input lists them; empty if it does not.
        tables: the tables that the job writes, runs/{run}/{task}/{probe}/step-{step}.parquet.

    Raises:
        UserError: one is missing.
    """
    found = dict.fromkeys(map(Path, folders)) or dict.fromkeys(map(_checkpoint, map(Path, tables)))
    for folder in found:
        if not folder.is_dir():
            training = folder.parents[1] / "training.parquet"
            problem = "the checkpoint is missing"
            remedy = f"Delete {training} and run again: all checkpoints are then written anew"
            raise UserError(folder, "", problem, remedy)
    return list(found)


def _checkpoint(table: Path) -> Path:
    return table.parents[2] / "checkpoints" / table.stem
