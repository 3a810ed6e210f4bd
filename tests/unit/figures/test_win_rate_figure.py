"""The win rates of all tasks of a run in one picture."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.colors import to_rgb

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.win_rate import draw_win_rates, win_rate_figure

Tables = dict[str, list[Path]]


def test_every_task_has_its_line_and_its_wilson_band(small: Tables) -> None:
    figure = win_rate_figure({"ioi2": small["win_rate"], "ioi3": small["win_rate"]}, "run")
    axes = figure.axes[0]
    assert [line.get_label() for line in axes.lines] == ["ioi2", "ioi3"]
    assert [line.get_xdata()[[0, -1]].tolist() for line in axes.lines] == [[0, 184]] * 2
    band = axes.collections[0].get_paths()[0].vertices
    rate = axes.lines[0].get_ydata()
    assert band[:, 1].min() < rate.min() and band[:, 1].max() > rate.max()


def test_the_axis_runs_from_0_to_100_percent(small: Tables) -> None:
    axes = win_rate_figure({"ioi3": small["win_rate"]}, "run").axes[0]
    assert axes.get_ylim() == (0, 1)
    axes.figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert (labels[0], labels[-1]) == ("0 %", "100 %")


def test_every_task_says_where_it_began_and_ended(small: Tables) -> None:
    figure = win_rate_figure({"ioi2": small["win_rate"], "ioi3": small["win_rate"]}, "run")
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == ["ioi2  42 % → 96 %", "ioi3  42 % → 96 %"]
    places = [text.get_window_extent() for text in figure.axes[0].texts]
    assert places[1].y1 < places[0].y0, "labels of equal rates stand apart"
    assert all(place.x1 < figure.bbox.x1 for place in places)


def test_the_picture_shows_the_colour_of_every_line(small: Tables) -> None:
    frame = draw_win_rates({"ioi3": small["win_rate"], "ioi2": small["win_rate"][:3]}, "run")
    for color in style.SERIES[:2]:
        wanted = np.round(255 * np.array(to_rgb(color)))
        assert (np.abs(frame - wanted).max(axis=-1) <= 1).sum() > 50


def test_no_task_is_refused() -> None:
    with pytest.raises(UserError, match="no task"):
        draw_win_rates({}, "run")


def test_labels_of_failing_tasks_stand_apart_and_within_the_picture(
    small: Tables, tmp_path: Path
) -> None:
    low = tmp_path / "step-000000.parquet"
    table = pq.read_table(small["win_rate"][0])
    at = table.column_names.index("win_rate")
    pq.write_table(table.set_column(at, "win_rate", pa.array([0.01], pa.float32())), low)
    figure = win_rate_figure({f"a_task_of_the_number_{n}": [low] for n in range(6)}, "run")
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert all(below.y1 < above.y0 for above, below in pairwise(boxes))
    assert all(box.y0 > 0 and box.x1 < figure.bbox.x1 for box in boxes)
