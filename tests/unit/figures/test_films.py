"""Films of every kind: fixed scales, true captions, the same bytes every time."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from timelapse.figures.figure_tables import InputTables
from timelapse.figures.films.film import FilmRenderer
from timelapse.figures.films.registry import FILMS
from timelapse.figures.images import write_gif, write_png
from timelapse.figures.options import LOGIT_DIFFERENCE, SECTIONS, FigureOptions, MetricWords
from timelapse.figures.overviews.registry import OVERVIEWS

Tables = dict[str, list[Path]]

ALL_FILMS = pytest.mark.parametrize("name", sorted(FILMS))


def film_of(name: str, paths: Tables, run: str = "two_to_three", **options: object) -> FilmRenderer:
    given = InputTables([path for table in FILMS[name].tables for path in paths[table]])
    return FilmRenderer(FILMS[name], given, run, "ioi3", options)


def words(figure: Figure) -> Iterator[str]:
    return (text.get_text() for text in figure.findobj(Text) if text.get_visible())


def scales(figure: Figure) -> list[object]:
    """Everything about the axes that must not move: limits, ticks, places, colour ranges."""
    found: list[object] = [tuple(figure.get_size_inches())]
    for axes in figure.axes:
        found += [axes.get_xlim(), axes.get_ylim(), axes.get_position().bounds]
        found += [tuple(axes.get_xticks()), tuple(axes.get_yticks())]
        found += [tuple(label.get_text() for label in axes.get_xticklabels())]
        found += [image.get_clim() for image in axes.images]
    return found


@ALL_FILMS
def test_scales_stay_the_same_over_all_frames(name: str, small: Tables) -> None:
    film = film_of(name, small)
    seen = []
    for step in film.steps:
        film.show(step)
        seen.append(scales(film.drawing.figure))
    assert len(seen) == 24
    assert all(scale == seen[0] for scale in seen)


@ALL_FILMS
def test_scales_do_not_depend_on_which_step_is_drawn_first(name: str, small: Tables) -> None:
    early, late = film_of(name, small), film_of(name, small)
    early.draw(0)
    late.draw(184)
    assert scales(early.drawing.figure) == scales(late.drawing.figure)


@ALL_FILMS
def test_a_frame_names_what_it_shows_and_where_training_stands(name: str, small: Tables) -> None:
    film = film_of(name, small)
    for step, rate in ((0, "42 %"), (64, "75 %"), (184, "96 %")):
        film.draw(step)
        said = list(words(film.drawing.figure))
        title = LOGIT_DIFFERENCE.fill(FILMS[name].title)
        assert title in said
        (caption,) = [text for text in said if text.startswith("two_to_three")]
        assert caption.startswith(f"two_to_three · ioi3 · step {step} · win rate {rate}")


@ALL_FILMS
def test_frames_differ_from_step_to_step_in_the_data(name: str, small: Tables) -> None:
    film = film_of(name, small)
    first, last = (film.draw(step)[150:] for step in (0, 184))
    assert (first != last).any(axis=-1).mean() > 0.01


@ALL_FILMS
def test_a_picture_is_the_same_alone_and_within_a_film(
    name: str, small: Tables, tmp_path: Path
) -> None:
    film, alone = film_of(name, small), film_of(name, small)
    frames = {step: film.draw(step) for step in (0, 8, 64, 184)}
    write_png(frames[64], tmp_path / "film.png")
    write_png(alone.draw(64), tmp_path / "alone.png")
    assert (tmp_path / "film.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    assert np.array_equal(film.draw(0), frames[0])


DRAW_ALL = """
import hashlib, json, sys
from pathlib import Path
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.films.film import FilmRenderer
from timelapse.figures.films.registry import FILMS
from timelapse.figures.images import write_gif
tables, out = json.loads(sys.argv[1]), Path(sys.argv[2])
found = {}
for film in FILMS.values():
    given = InputTables([Path(path) for name in film.tables for path in tables[name]])
    renderer = FilmRenderer(film, given, "run", "ioi3")
    frames = [renderer.draw(step) for step in renderer.steps]
    write_gif(frames, out / "a.gif")
    for name in ("a.png", "a.svg"):
        renderer.write_frame(renderer.steps[-1], out / name)
    files = [out / name for name in ("a.png", "a.gif", "a.svg")]
    found[film.name] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bytes_of_two_processes(
    short: Tables, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, list[str]]]:
    """Digests of the PNG, GIF and SVG of every film, drawn by two processes."""
    folder = tmp_path_factory.mktemp("bytes")
    given = json.dumps({name: list(map(str, files)) for name, files in short.items()})
    found = []
    for number in range(2):
        command = [sys.executable, "-c", DRAW_ALL, given, str(folder)]
        env = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": str(number), "HOME": str(folder)}
        done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return found


@ALL_FILMS
def test_another_process_writes_the_same_bytes(
    name: str, bytes_of_two_processes: list[dict[str, list[str]]]
) -> None:
    first, second = (found[name] for found in bytes_of_two_processes)
    assert len(set(first)) == 3
    assert first == second


@ALL_FILMS
def test_every_label_lies_within_the_picture(name: str, small: Tables, large: Tables) -> None:
    for paths in (small, large):
        film = film_of(name, paths)
        figure = film.drawing.figure
        for step in (0, 184):
            height, width, _ = film.draw(step).shape
            for text in figure.findobj(Text):
                if text.get_visible() and text.get_text():
                    box = text.get_window_extent()
                    inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
                    assert inside, text.get_text()


@ALL_FILMS
def test_tick_labels_do_not_overlap(name: str, large: Tables) -> None:
    film = film_of(name, large)
    film.draw(184)
    for axes in film.drawing.figure.axes:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


@ALL_FILMS
def test_a_long_run_name_stays_clear_of_the_timeline(name: str, own: Tables) -> None:
    film = film_of(name, own, run="a_run_with_a_very_long_name" * 4)
    film.draw(0)
    figure = film.drawing.figure
    timeline = figure.axes[-1].get_window_extent().x0
    caption = next(text for text in figure.texts if text.get_text().startswith("a_run"))
    assert caption.get_window_extent().x1 < timeline - 45


def test_a_film_has_every_frame_loops_for_ever_and_rests_at_the_end(
    small: Tables, tmp_path: Path
) -> None:
    film = film_of("head", small)
    frames = [film.draw(step) for step in film.steps]
    write_gif(frames, tmp_path / "head.gif", seconds_per_frame=0.2, hold=2.0)
    with Image.open(tmp_path / "head.gif") as film:
        assert film.n_frames == 24
        assert film.info["loop"] == 0
        durations = []
        for number in range(film.n_frames):
            film.seek(number)
            durations.append(film.info["duration"])
    assert durations == [200] * 23 + [2000]


def test_a_films_frames_look_like_its_pictures(small: Tables, tmp_path: Path) -> None:
    film = film_of("head", small)
    frames = [film.draw(step) for step in film.steps[::4]]
    write_gif(frames, tmp_path / "head.gif")
    film = imageio.imread(tmp_path / "head.gif", plugin="pillow", mode="RGB")
    apart = np.abs(film.astype(int) - np.stack(frames))
    assert apart.mean() < 0.2
    white = (np.stack(frames) == 255).all(axis=-1)
    assert (film[white] == 255).all()


def test_what_stands_still_does_not_flicker(small: Tables, tmp_path: Path) -> None:
    """A pixel of equal colour in two frames has equal colour in the film."""
    film = film_of("circuit", small)
    frames = [film.draw(step) for step in (0, 8, 16)]
    write_gif(frames, tmp_path / "circuit.gif")
    film = imageio.imread(tmp_path / "circuit.gif", plugin="pillow", mode="RGB")
    for before, after in ((0, 1), (1, 2)):
        still = (frames[before] == frames[after]).all(axis=-1)
        assert 0.5 < still.mean() < 1
        assert (film[before][still] == film[after][still]).all()


def test_a_film_of_one_frame_is_a_film(own: Tables, tmp_path: Path) -> None:
    film = film_of("stream", own)
    write_gif([film.draw(0)], tmp_path / "one.gif")
    with Image.open(tmp_path / "one.gif") as film:
        assert film.n_frames == 1


def test_figures_import_neither_torch_nor_probes() -> None:
    code = """
import importlib, pkgutil, sys
import timelapse.figures
for module in pkgutil.iter_modules(timelapse.figures.__path__, "timelapse.figures."):
    importlib.import_module(module.name)
unwanted = {"torch", "transformers", "transformer_lens", "timelapse.probes", "timelapse.models"}
print(sorted(unwanted & set(sys.modules)))
"""
    assert _run(code) == "[]"


def test_the_list_of_films_needs_no_plotting_library() -> None:
    code = "import sys, timelapse.figures.films.registry; print('matplotlib' in sys.modules)"
    assert _run(code) == "False"


def test_every_option_has_its_section_of_the_config() -> None:
    sections = {film.name: film.options for film in FILMS.values()}
    sections |= {one.section or one.name: one.options for one in OVERVIEWS.values()}
    assert {name: one for name, one in sections.items() if one is not FigureOptions} == SECTIONS


@ALL_FILMS
def test_parts_of_any_size_give_the_same_picture(name: str, short: Tables, tmp_path: Path) -> None:
    whole: Tables = {}
    for table, files in short.items():
        path = tmp_path / "ioi3" / table / "000000-000184.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.concat_tables(map(pq.read_table, files)), path)
        whole[table] = [path]
    assert np.array_equal(film_of(name, whole).draw(64), film_of(name, short).draw(64))


@ALL_FILMS
def test_rows_of_steps_that_are_not_shown_change_nothing(name: str, short: Tables) -> None:
    def given(files: slice, steps: tuple[int, ...] | None = None) -> InputTables:
        tables = FILMS[name].tables
        return InputTables([path for table in tables for path in short[table][files]], steps)

    one = FilmRenderer(FILMS[name], given(slice(2)), "run", "ioi3")
    other = FilmRenderer(FILMS[name], given(slice(None), (0, 64)), "run", "ioi3")
    assert one.steps == other.steps == (0, 64)
    assert np.array_equal(one.draw(64), other.draw(64))


def test_pictures_name_the_metric_and_its_unit(small: Tables) -> None:
    given = InputTables([*small["logit_diff"], *small["win_rate"]])
    metric = MetricWords("probability difference", "probability")
    film = FilmRenderer(FILMS["head"], given, "run", "ioi3", metric=metric)
    said = set(words(film.drawing.figure))
    assert {
        "Probability difference written by each head",
        "probability difference (probability)",
    } <= said


def _run(code: str) -> str:
    env = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
