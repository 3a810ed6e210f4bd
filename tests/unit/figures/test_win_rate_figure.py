"""The win rates of all tasks of a run in one picture."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.overviews.overview import draw_overview, overview_figure
from timelapse.figures.overviews.registry import OVERVIEWS

Tables = dict[str, list[Path]]


def win_rate_figure(paths: list[Path]) -> Figure:
    return overview_figure(OVERVIEWS["win_rate"], InputTables(paths), "run")


def copied(paths: list[Path], folder: Path, task: str) -> list[Path]:
    """The same win rates as those of another task."""
    home = folder / task / "win_rate"
    home.mkdir(parents=True)
    return [Path(shutil.copy(path, home)) for path in paths]


@pytest.fixture
def both(small: Tables, tmp_path: Path) -> list[Path]:
    """Two tasks with equal win rates."""
    return [path for task in ("ioi2", "ioi3") for path in copied(small["win_rate"], tmp_path, task)]


def test_every_task_has_its_line_and_its_wilson_band(both: list[Path]) -> None:
    axes = win_rate_figure(both).axes[0]
    assert [line.get_xdata()[[0, -1]].tolist() for line in axes.lines] == [[0, 184]] * 2
    band = axes.collections[0].get_paths()[0].vertices
    rate = axes.lines[0].get_ydata()
    assert band[:, 1].min() < rate.min() and band[:, 1].max() > rate.max()


def test_the_axis_runs_from_0_to_100_percent(small: Tables) -> None:
    axes = win_rate_figure(small["win_rate"]).axes[0]
    assert axes.get_ylim() == (0, 1)
    axes.figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert (labels[0], labels[-1]) == ("0 %", "100 %")


def test_every_task_says_where_it_began_and_ended(both: list[Path]) -> None:
    figure = win_rate_figure(both)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == ["ioi2  42 % → 96 %", "ioi3  42 % → 96 %"]
    places = [text.get_window_extent() for text in figure.axes[0].texts]
    assert places[0].y1 < places[1].y0, "labels of equal rates stand apart"
    assert all(place.x1 < figure.bbox.x1 for place in places)


def test_the_picture_shows_the_colour_of_every_line(small: Tables, tmp_path: Path) -> None:
    short = copied(small["win_rate"][:3], tmp_path, "ioi2")
    frame = draw_overview(OVERVIEWS["win_rate"], InputTables([*small["win_rate"], *short]), "run")
    for color in style.SERIES[:2]:
        wanted = np.round(255 * np.array(to_rgb(color)))
        assert (np.abs(frame - wanted).max(axis=-1) <= 1).sum() > 50


def test_no_task_is_refused() -> None:
    with pytest.raises(UserError, match="no table was given"):
        draw_overview(OVERVIEWS["win_rate"], InputTables([]), "run")


def test_labels_of_failing_tasks_stand_apart_and_within_the_picture(
    small: Tables, tmp_path: Path
) -> None:
    low = tmp_path / "000000.parquet"
    table = pq.read_table(small["win_rate"][0])
    at = table.column_names.index("win_rate")
    pq.write_table(table.set_column(at, "win_rate", pa.array([0.01], pa.float32())), low)
    tasks = [f"a_task_of_the_number_{n}" for n in range(6)]
    figure = win_rate_figure([path for task in tasks for path in copied([low], tmp_path, task)])
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(below.y1 < above.y0 for below, above in pairwise(boxes))
    assert all(box.y0 > 0 and box.x1 < figure.bbox.x1 for box in boxes)
