"""Films of every kind: fixed scales, true captions, the same bytes every time."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from timelapse.figures.films.film import Scene, open_scene
from timelapse.figures.films.registry import KINDS
from timelapse.figures.images import write_gif, write_png

Tables = dict[str, list[Path]]

ALL_KINDS = pytest.mark.parametrize("kind", sorted(KINDS))


def scene_of(kind: str, paths: Tables, **options: object) -> Scene:
    probe = paths[KINDS[kind].table]
    return open_scene(kind, probe, paths["win_rate"], "two_to_three", "ioi3", options)


def figure_of(scene: Scene) -> Figure:
    return scene._drawing.figure


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


@ALL_KINDS
def test_scales_stay_the_same_over_all_frames(kind: str, small: Tables) -> None:
    scene = scene_of(kind, small)
    seen = []
    for step in scene.steps:
        scene._show(step)
        seen.append(scales(figure_of(scene)))
    assert len(seen) == 24
    assert all(scale == seen[0] for scale in seen)


@ALL_KINDS
def test_scales_do_not_depend_on_which_step_is_drawn_first(kind: str, small: Tables) -> None:
    early, late = scene_of(kind, small), scene_of(kind, small)
    early.draw(0)
    late.draw(184)
    assert scales(figure_of(early)) == scales(figure_of(late))


@ALL_KINDS
def test_a_frame_names_what_it_shows_and_where_training_stands(kind: str, small: Tables) -> None:
    scene = scene_of(kind, small)
    for step, rate in ((0, "42 %"), (64, "75 %"), (184, "96 %")):
        scene.draw(step)
        said = list(words(figure_of(scene)))
        assert KINDS[kind].title in said
        (caption,) = [text for text in said if text.startswith("two_to_three")]
        assert caption.startswith(f"two_to_three · ioi3 · step {step} · win rate {rate}")


@ALL_KINDS
def test_frames_differ_from_step_to_step_in_the_data(kind: str, small: Tables) -> None:
    scene = scene_of(kind, small)
    first, last = (scene.draw(step)[150:] for step in (0, 184))
    assert (first != last).any(axis=-1).mean() > 0.01


@ALL_KINDS
def test_a_picture_is_the_same_alone_and_within_a_film(
    kind: str, small: Tables, tmp_path: Path
) -> None:
    film, alone = scene_of(kind, small), scene_of(kind, small)
    frames = {step: film.draw(step) for step in (0, 8, 64, 184)}
    write_png(frames[64], tmp_path / "film.png")
    write_png(alone.draw(64), tmp_path / "alone.png")
    assert (tmp_path / "film.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    assert np.array_equal(film.draw(0), frames[0])


DRAW_ALL = """
import hashlib, json, sys
from pathlib import Path
from timelapse.figures.films.registry import KINDS
from timelapse.figures.images import write_gif, write_png
from timelapse.figures.films.film import open_scene
tables, out = json.loads(sys.argv[1]), Path(sys.argv[2])
found = {}
for kind in KINDS.values():
    extras = {name: tables[name] for name in kind.extras}
    scene = open_scene(
        kind.name, tables[kind.table], tables["win_rate"], "run", "task", extra_tables=extras
    )
    frames = [scene.draw(step) for step in scene.steps]
    write_png(frames[-1], out / "a.png")
    write_gif(frames, out / "a.gif")
    scene.write_svg(scene.steps[-1], out / "a.svg")
    files = [out / name for name in ("a.png", "a.gif", "a.svg")]
    found[kind.name] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bytes_of_two_processes(
    short: Tables, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, list[str]]]:
    """Digests of the PNG, GIF and SVG of every kind, drawn by two processes."""
    folder = tmp_path_factory.mktemp("bytes")
    given = json.dumps({name: list(map(str, files)) for name, files in short.items()})
    found = []
    for number in range(2):
        command = [sys.executable, "-c", DRAW_ALL, given, str(folder)]
        env = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": str(number), "HOME": str(folder)}
        done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return found


@ALL_KINDS
def test_another_process_writes_the_same_bytes(
    kind: str, bytes_of_two_processes: list[dict[str, list[str]]]
) -> None:
    first, second = (found[kind] for found in bytes_of_two_processes)
    assert len(set(first)) == 3
    assert first == second


@ALL_KINDS
def test_every_label_lies_within_the_picture(kind: str, small: Tables, large: Tables) -> None:
    for paths in (small, large):
        scene = scene_of(kind, paths)
        figure = figure_of(scene)
        for step in (0, 184):
            height, width, _ = scene.draw(step).shape
            for text in figure.findobj(Text):
                if text.get_visible() and text.get_text():
                    box = text.get_window_extent()
                    inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
                    assert inside, text.get_text()


@ALL_KINDS
def test_tick_labels_do_not_overlap(kind: str, large: Tables) -> None:
    scene = scene_of(kind, large)
    scene.draw(184)
    for axes in figure_of(scene).axes:
        boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


@ALL_KINDS
def test_a_long_run_name_stays_clear_of_the_timeline(kind: str, own: Tables) -> None:
    probe = own[KINDS[kind].table]
    scene = open_scene(kind, probe, own["win_rate"], "a_run_with_a_very_long_name" * 4, "a_task")
    scene.draw(0)
    figure = figure_of(scene)
    timeline = figure.axes[-1].get_window_extent().x0
    caption = next(text for text in figure.texts if text.get_text().startswith("a_run"))
    assert caption.get_window_extent().x1 < timeline - 45


def test_a_film_has_every_frame_loops_for_ever_and_rests_at_the_end(
    small: Tables, tmp_path: Path
) -> None:
    scene = scene_of("head", small)
    frames = [scene.draw(step) for step in scene.steps]
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
    scene = scene_of("head", small)
    frames = [scene.draw(step) for step in scene.steps[::4]]
    write_gif(frames, tmp_path / "head.gif")
    film = imageio.imread(tmp_path / "head.gif", plugin="pillow", mode="RGB")
    apart = np.abs(film.astype(int) - np.stack(frames))
    assert apart.mean() < 0.2
    white = (np.stack(frames) == 255).all(axis=-1)
    assert (film[white] == 255).all()


def test_what_stands_still_does_not_flicker(small: Tables, tmp_path: Path) -> None:
    """A pixel of equal colour in two frames has equal colour in the film."""
    scene = scene_of("circuit", small)
    frames = [scene.draw(step) for step in (0, 8, 16)]
    write_gif(frames, tmp_path / "circuit.gif")
    film = imageio.imread(tmp_path / "circuit.gif", plugin="pillow", mode="RGB")
    for before, after in ((0, 1), (1, 2)):
        still = (frames[before] == frames[after]).all(axis=-1)
        assert 0.5 < still.mean() < 1
        assert (film[before][still] == film[after][still]).all()


def test_a_film_of_one_frame_is_a_film(own: Tables, tmp_path: Path) -> None:
    scene = scene_of("stream", own)
    write_gif([scene.draw(0)], tmp_path / "one.gif")
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


def test_the_list_of_kinds_needs_no_plotting_library() -> None:
    code = "import sys, timelapse.figures.films.registry; print('matplotlib' in sys.modules)"
    assert _run(code) == "False"


def _run(code: str) -> str:
    env = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
