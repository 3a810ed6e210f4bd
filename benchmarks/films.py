"""What a frame of each film costs: processor seconds at 4 x 4 and at 12 x 12 heads.

    python benchmarks/films.py

draws every film of made-up tables (those of the tests) over 24 checkpoints, on one thread, and
writes films.json. `before` there holds the numbers of the code that drew each frame anew, measured
on the tables of the default study: 4 x 4 heads, 24 checkpoints.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).with_suffix(".json")
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "tests" / "unit" / "figures")]

from conftest import STEPS, Tables, write_run  # noqa: E402
from timelapse.figures.figure_tables import InputTables  # noqa: E402
from timelapse.figures.films.film import FilmRenderer  # noqa: E402
from timelapse.figures.films.registry import FILMS, Film  # noqa: E402
from timelapse.figures.images import write_gif, write_png  # noqa: E402


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of some work."""
    start = process_time()
    work()
    return process_time() - start


def measured(film: Film, tables: Tables, folder: Path) -> dict[str, float]:
    """Processor seconds a frame: in all but opening, in parts, and of opening once."""
    given = InputTables([path for name in film.tables for path in tables[name]])
    start = process_time()
    renderer = FilmRenderer(film, given, "run", "ioi3")
    opening = process_time() - start
    frames = []
    found = {"draw": seconds(lambda: frames.extend(map(renderer.draw, renderer.steps)))}
    found["png"] = seconds(lambda: [write_png(frame, folder / "a.png") for frame in frames])
    found["gif"] = seconds(lambda: write_gif(frames, folder / "a.gif"))
    for suffix in film.suffixes[1:]:
        write = partial(renderer.write_frame, path=folder / f"a.{suffix}")
        found[suffix] = seconds(partial(list, map(write, renderer.steps)))
    found = {name: round(value / len(frames), 4) for name, value in found.items()}
    in_all = sum(found[name] for name in ("draw", "png", "gif"))
    return {"frame": round(in_all, 4), **found, "opening": round(opening, 2)}


def main() -> None:
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for size in (4, 12):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tables = write_run(folder / "ioi3", size, size, STEPS)
            record[f"{size} x {size} heads"] = {
                film.name: measured(film, tables, folder) for film in FILMS.values()
            }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
