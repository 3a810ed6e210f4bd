"""The numbers of a tiny study as they were recorded once, and how others are compared with them.

    PYTHONPATH=tests/workflow python tests/workflow/recorded_numbers.py STUDY TRAINED

writes the record from two folders in which Snakemake has run a study. In STUDY it was
`RECORDED_CONFIG`, with `SAME_ROUNDING` in its environment: the checkpoints are recorded, and all
tables that were measured on them. Its model has learned something, so that no number is a quotient
of rounding errors. In TRAINED it was `CONFIG`: what its few steps of training leave is recorded.

Tables are recorded whole, one file each; how a study cuts its own into files is of no account.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from projects import CONFIG, ROOT, RUN

RECORD = ROOT / "tests" / "recorded"
RECORDED_CONFIG = CONFIG.replace(
    "      steps: 6\n      batch: 8\n",
    "      steps: 3000\n      batch: 32\n      learning_rate: 3e-3\n",
)
SAME_ROUNDING = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
"""Slower kernels that round alike on all x86-64 processors. With the usual ones, which each kind of
processor has its own of, a few quotients of small differences move by up to 2e-5."""
STEPS = ("000000", "000002", "000004")
TRAINED = ("results/models/base", *(f"{RUN}/checkpoints/step-{step}" for step in STEPS[1:]))
"""The models that the tiny study trains; step 0 of its run is the first."""
OF_A_TASK = (
    *("win_rate", "logit_diff", "patching", "attention", "attention_change", "attention_pattern"),
    *("head_roles", "logit_lens", "logit_lens_top", "edges", "edge_samples", "edges_by_position"),
    *("faithfulness", "circuit_quality", "transfer", "comparison", "heads"),
)
OF_THE_RUN = ("summary",)
TABLES = OF_A_TASK + OF_THE_RUN
MEASURED = frozenset(
    {
        *("value", "std_error", "ci_low", "ci_high", "null_mean", "score", "scores"),
        *("win_rate", "logit_diff", "logit_diff_se", "answer_probability"),
        *("faithfulness", "completeness", "weighted_size", "probability", "share"),
    }
)
"""The columns that are compared with a tolerance; all others say what a row is about."""


def read_table(study: Path, table: str) -> pd.DataFrame:
    """A table of all tasks and steps of the run, however it is cut into files."""
    folder = study / RUN
    if table in OF_THE_RUN:
        return pq.read_table(folder / f"{table}.parquet").to_pandas()
    parts = []
    for task in ("ambiguous3", "ioi2", "ioi3"):
        single, several = folder / task / f"{table}.parquet", folder / task / table
        if single.exists() or several.exists():
            path = single if single.exists() else several
            part = pq.ParquetDataset(path, partitioning=None).read().to_pandas()
            parts.append(part.assign(of_task=task))
    return pd.concat(parts, ignore_index=True)


def differences(recorded: pd.DataFrame, now: pd.DataFrame, tolerance: float) -> list[str]:
    """How a table differs from the recorded one: columns, rows, values; empty if it does not.

    Rows may come in any order, and columns may have been added. Two values differ if they are
    further apart than `tolerance`, or than that share of the column's largest number: sums of such
    numbers in another order round by about a tenth of it, also where they nearly cancel.
    """
    lacking = recorded.columns.difference(now.columns)
    if len(lacking):
        return [f"no column {', '.join(lacking)}"]
    keys = [name for name in recorded.columns if name not in MEASURED]
    values = [name for name in recorded.columns if name in MEASURED]
    if recorded.duplicated(keys).any():
        return [f"rows that {', '.join(keys)} do not tell apart"]
    both = recorded.merge(
        now[[*keys, *values]], how="outer", on=keys, suffixes=("", "_now"), indicator=True
    )
    found = []
    for side, what in (("left_only", "missing"), ("right_only", "not in the record")):
        if (alone := both[both["_merge"] == side]).size:
            found.append(f"{len(alone)} rows {what}, the first: {alone[keys].iloc[0].to_dict()}")
    both = both[both["_merge"] == "both"]
    for name in values:
        before, after = _numbers(both[name]), _numbers(both[f"{name}_now"])
        if before.shape != after.shape:
            found.append(f"{name}: other lengths of its lists")
            continue
        largest = np.nanmax(np.abs(before), initial=1.0)
        same = np.isclose(after, before, rtol=0, atol=tolerance * largest, equal_nan=True)
        if not same.all():
            place = np.unravel_index(np.nanargmax(np.abs(after - before) * ~same), same.shape)
            row = both.iloc[place[0]]
            found.append(
                f"{name}: {(~same).sum()} of {same.size} values, {before[place]:.9g} is now "
                f"{after[place]:.9g} at {row[keys].to_dict()}"
            )
    return found


def _numbers(column: pd.Series) -> np.ndarray:
    """A column as numbers; where its cells are lists, as a row of numbers for each of them."""
    lists = column.map(np.ndim).max() > 0
    return np.stack(column.to_list()) if lists else column.to_numpy(dtype=float)


def write_record(study: Path, trained: Path) -> None:
    """Record the checkpoints and tables of a finished study, and the training of another."""
    shutil.rmtree(RECORD, ignore_errors=True)
    for step in STEPS:
        shutil.copytree(
            study / RUN / "checkpoints" / f"step-{step}",
            RECORD / "checkpoints" / f"step-{step}",
            ignore=shutil.ignore_patterns(".*", "checksums.json"),
        )
    for table in TABLES:
        path = RECORD / "tables" / f"{table}.parquet"
        path.parent.mkdir(exist_ok=True)
        frame = read_table(study, table)
        frame.to_parquet(path, compression="zstd", compression_level=19, index=False)
    (RECORD / "training").mkdir()
    for folder in TRAINED:
        name = Path(folder).name
        shutil.copy(
            trained / folder / "model.safetensors", RECORD / "training" / f"{name}.safetensors"
        )
    table = pq.read_table(trained / RUN / "training.parquet")
    pq.write_table(table.drop(["seconds"]), RECORD / "training" / "training.parquet")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="where RECORDED_CONFIG has run")
    parser.add_argument("trained", type=Path, help="where CONFIG has run")
    arguments = parser.parse_args()
    write_record(arguments.study, arguments.trained)
