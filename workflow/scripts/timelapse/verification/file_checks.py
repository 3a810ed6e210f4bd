"""Whether a file is what was written, as far as its kind can tell.

Tables and model folders carry digests: any change is found. Pictures carry checksums of all their
chunks, likewise. Films, JSON, SVG, GraphML and text carry none: what no longer decodes or parses is
found, and a changed pixel or digit is not. A digest for them would have to be a file or a comment
of its own; they are drawn again from verified tables in seconds, so it is not worth it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.compute as pc
from PIL import Image

from timelapse import tables
from timelapse.errors import UserError
from timelapse.files.parquet import read, read_all
from timelapse.models.checkpoints import FILE, WEIGHTS, verify
from timelapse.paths import parse
from timelapse.probes.registry import SCHEMAS as PROBE_SCHEMAS
from timelapse.steps import step_name
from timelapse.tasks.dataset import read_dataset

SCHEMAS = {
    **PROBE_SCHEMAS,
    "training": tables.TRAINING,
    "comparison": tables.COMPARISON,
    "heads": tables.HEADS,
    "summary": tables.SUMMARY,
}
"""The schemas of all tables that the workflow writes, by their names."""


def is_result(path: Path) -> bool:
    """Whether a file or folder lies where the workflow, of this study or another, puts one.

    >>> is_result(Path("results/runs/a/training.parquet"))
    True
    >>> is_result(Path("results/notes/mine.parquet"))
    False
    """
    location = parse(path)
    return location is not None and (location.kind != "table" or location.table in SCHEMAS)


def fault_of(path: Path, frames: int | None = None) -> str | None:
    """What is wrong with a file or a model folder; None if nothing is found.

    Args:
        path: a file, or a model folder.
        frames: how many a film must have, if that is known.
    """
    try:
        if path.is_dir():
            _model(path)
        elif path.suffix == ".gif":
            _film(path, frames)
        elif path.suffix in _CHECKS:
            _CHECKS[path.suffix](path)
    except UserError as error:
        place = "" if error.source == str(path) else f"{Path(error.source).name}: "
        return place + (f"{error.key}: " if error.key else "") + error.problem
    except Exception as error:  # decoders raise whatever they run into in a damaged file
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _table(path: Path) -> None:
    location = parse(path)
    if location is not None and location.kind == "dataset":
        read_dataset(path)
        return
    if location is None or location.table not in SCHEMAS:
        read_all(path)
        return
    table = read(path, SCHEMAS[location.table])
    if location.kind == "table" and "step" in table.column_names:
        ends = pc.min_max(table["step"]).as_py()
        steps = sorted({ends["min"], ends["max"]})
        if "-".join(map(step_name, steps)) != path.stem:
            raise ValueError("the table is of other steps")


def _model(folder: Path) -> None:
    """A folder from before there were checksums is checked file by file."""
    if (folder / FILE).exists():
        verify(folder)
        return
    for path in sorted(folder.iterdir()):
        if found := fault_of(path):
            raise ValueError(f"{path.name}: {found}")


def _weights(path: Path) -> None:
    """Whether safetensors are as long as their header says."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, path.stat().st_size)))
    ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    if 8 + length + max(ends, default=0) != path.stat().st_size:
        raise ValueError("the file is not as long as its header says")


def _picture(path: Path) -> None:
    with Image.open(path, formats=["PNG"]) as picture:
        picture.verify()
    with Image.open(path, formats=["PNG"]) as picture:
        picture.load()
    with path.open("rb") as file:
        file.seek(-12, 2)
        if file.read() != b"\0\0\0\0IEND\xaeB`\x82":
            raise ValueError("the picture does not end where it should")


def _film(path: Path, frames: int | None) -> None:
    with Image.open(path, formats=["GIF"]) as film:
        found = getattr(film, "n_frames", 1)
        for number in range(found):
            film.seek(number)
            film.load()
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read() != b";":
            raise ValueError("the film does not end where it should")
    if frames is not None and found != frames:
        raise ValueError(f"the film has {found} frames, {frames} are wanted")


def _text(path: Path) -> None:
    if not path.read_text(encoding="utf-8").strip():
        raise ValueError("the file is empty")


_CHECKS: dict[str, Callable[[Path], object]] = {
    ".parquet": _table,
    ".png": _picture,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".svg": ElementTree.parse,
    ".graphml": ElementTree.parse,
    ".md": _text,
    WEIGHTS: _weights,
}
