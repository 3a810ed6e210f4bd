"""Which files under results/ are the workflow's: everything else is its user's own."""

import re
from pathlib import Path

from timelapse.verification.files import SCHEMAS

_STEP = r"step-\d{6}"
_FOLDERS = re.compile(rf"models/[^/]+|runs/[^/]+/checkpoints/{_STEP}")
_FILES = re.compile(
    "|".join(
        (
            r"datasets/[^/]+/(train|validation|test)\.parquet",
            r"runs/[^/]+/(training\.parquet|summary\.(parquet|md))",
            r"runs/[^/]+/figures/\w+\.png",
            r"runs/[^/]+/[^/]+/(comparison|heads)\.parquet",
            rf"runs/[^/]+/[^/]+/({'|'.join(SCHEMAS)})/{_STEP}\.parquet",
            rf"runs/[^/]+/[^/]+/circuits/{_STEP}\.(graphml|importances\.json)",
            r"runs/[^/]+/[^/]+/figures/\w+\.(png|gif)",
            rf"runs/[^/]+/[^/]+/figures/\w+/{_STEP}\.(png|svg|json)",
        )
    )
)


def is_result(path: Path, results: Path) -> bool:
    """Whether a file or folder lies where the workflow, of this study or another, puts one.

    >>> is_result(Path("results/runs/a/training.parquet"), Path("results"))
    True
    >>> is_result(Path("results/notes/mine.parquet"), Path("results"))
    False
    """
    kind = _FOLDERS if path.is_dir() else _FILES
    return bool(kind.fullmatch(path.relative_to(results).as_posix()))
