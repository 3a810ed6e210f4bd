"""Pictures over a whole run: what each draws, what it needs, and what it says of bad tables."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.graph.panel import GraphPanel
from timelapse.figures.options import LOGIT_DIFFERENCE
from timelapse.figures.overviews.lines import apart
from timelapse.figures.overviews.overview import draw_overview, overview_figure
from timelapse.figures.overviews.registry import OVERVIEWS, offered, overview_named, pictures
from timelapse.figures.overviews.step_lines import HEAD_LOOKS
from timelapse.steps import step_name
from timelapse.study.runs import Run
from timelapse.tables import SCHEMAS

ALL = pytest.mark.parametrize("name", sorted(OVERVIEWS))


def drawn(study, name: str, task: str = "ioi3", **options: object) -> Figure:
    overview = OVERVIEWS[name]
    about = None if overview.of_run else task
    return overview_figure(overview, study.tables(overview, about), study.run.name, about, options)


def rows(study, file: str, task: str = "ioi3") -> list[dict]:
    home = study.folder / "results" / "runs" / study.run.name / task
    return pq.read_table(home / file).to_pylist()


def compared(study, measure: str, task: str = "ioi3", other: str = "ioi3") -> dict:
    """The rows of a measure by their two steps."""
    return {
        (row["step_a"], row["step_b"]): row
        for row in rows(study, "comparison.parquet", task)
        if (row["measure"], row["task_a"]) == (measure, other)
    }


def lines_of(axes: Axes) -> list[np.ndarray]:
    """The values of every line that runs over the steps."""
    return [np.asarray(line.get_ydata(), float) for line in axes.lines]


def has_line(axes: Axes, values: list[float | None]) -> bool:
    wanted = np.array(values, float)
    return any(
        line.shape == wanted.shape and np.allclose(line, wanted, equal_nan=True)
        for line in lines_of(axes)
    )


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


class TestTheRegistry:
    @ALL
    def test_every_overview_has_words_and_something_that_draws_it(self, name: str) -> None:
        overview = OVERVIEWS[name]
        assert overview.name == name and overview.title and overview.caption
        assert set(overview.tables) <= set(SCHEMAS)
        assert callable(resolve_name(overview.drawing))

    def test_tasks_are_compared_only_where_there_are_two(self) -> None:
        one = Run("tuned", "base", "b", ("b",), (0, 9), {}, 0)
        two = replace(one, evaluate=("a", "b"))
        lacking = {o.name for o in offered(two)} - {o.name for o in offered(one)}
        assert lacking == {"circuit_tasks", "cross_task"}

    def test_the_pictures_of_a_run_lie_in_its_folders(self) -> None:
        run = Run("tuned", "base", "b", ("a", "b"), (0, 9), {}, 0)
        found = pictures(run)
        assert len(set(found)) == len(found) == 3 + 2 * (len(OVERVIEWS) - 3)
        assert "results/runs/tuned/figures/win_rate.png" in found
        assert "results/runs/tuned/a/figures/edge_overlap.png" in found

    def test_graphs_take_the_options_of_the_circuit(self) -> None:
        figures = {"circuit": {"edges": 7}, "edge_flips": {}}
        assert OVERVIEWS["circuit_tasks"].settings(figures) == {"edges": 7}
        assert OVERVIEWS["head_trajectories"].settings(figures) == {}

    def test_an_unknown_name_or_option_is_answered_with_the_known_ones(self, study) -> None:
        with pytest.raises(UserError, match="edge_overlap"):
            overview_named("overlap")
        with pytest.raises(UserError, match="named") as caught:
            drawn(study, "head_trajectories", top=3)
        assert (caught.value.source, caught.value.key) == (
            "config: figures.head_trajectories",
            "top",
        )

    def test_the_list_needs_no_plotting_library(self) -> None:
        code = (
            "import sys, timelapse.figures.overviews.registry; print('matplotlib' in sys.modules)"
        )
        env = {"PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
        )
        assert done.stdout.strip() == "False"


class TestEveryPicture:
    @ALL
    def test_it_says_what_it_shows_and_of_what(self, name: str, study) -> None:
        said = words(drawn(study, name))
        assert LOGIT_DIFFERENCE.fill(OVERVIEWS[name].title) in said
        about = "two_to_three" if OVERVIEWS[name].of_run else "two_to_three · ioi3"
        assert f"{about} · {LOGIT_DIFFERENCE.fill(OVERVIEWS[name].caption)}" in said

    @ALL
    def test_every_word_lies_within_the_picture(
        self, name: str, study, large_study, short_study
    ) -> None:
        for one in (study, large_study, short_study):
            figure = drawn(one, name)
            with style.applied():
                figure.canvas.draw()
            width, height = figure.bbox.width, figure.bbox.height
            out_of_sight = {id(label) for label in _beyond_the_axes(figure)}
            for text in figure.findobj(Text):
                if text.get_visible() and text.get_text() and id(text) not in out_of_sight:
                    box = text.get_window_extent()
                    inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
                    assert inside, text.get_text()

    @ALL
    def test_tick_labels_do_not_overlap(self, name: str, study, large_study) -> None:
        for one in (study, large_study):
            figure = drawn(one, name)
            with style.applied():
                figure.canvas.draw()
            for axes in figure.axes:
                across = [label.get_window_extent() for label in _shown(axes.get_xticklabels())]
                assert all(left.x1 <= right.x0 for left, right in pairwise(across))
                up = [label.get_window_extent() for label in _shown(axes.get_yticklabels())]
                assert all(below.y1 <= above.y0 + 4 for below, above in pairwise(up))

    @ALL
    def test_another_process_writes_the_same_bytes(
        self, name: str, bytes_of_two_processes: list[dict[str, str]]
    ) -> None:
        first, second = bytes_of_two_processes
        assert first[name] == second[name]


def _beyond_the_axes(figure: Figure) -> Iterator[Text]:
    """The labels of ticks that are not drawn, because they lie outside the limits."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    yield from (tick.label1, tick.label2)


def _shown(labels: list[Text]) -> list[Text]:
    return [label for label in labels if label.get_text() and label.get_visible()]


DRAW_ALL = """
import hashlib, json, sys
from pathlib import Path
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.overviews.overview import draw_overview
from timelapse.figures.overviews.registry import OVERVIEWS
found = {}
for name, (paths, task) in json.loads(sys.argv[1]).items():
    picture = draw_overview(OVERVIEWS[name], InputTables(map(Path, paths)), "run", task)
    found[name] = hashlib.sha256(picture.tobytes()).hexdigest()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def bytes_of_two_processes(short_study) -> list[dict[str, str]]:
    """Digests of the pixels of every overview, drawn by two processes."""
    asked = {}
    for overview in offered(short_study.run):
        task = None if overview.of_run else "ioi3"
        asked[overview.name] = [str(path) for path in short_study.inputs(overview, task)], task
    found = []
    for seed in ("0", "1"):
        env = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", DRAW_ALL, json.dumps(asked)]
        done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout))
    return found


def panels(figure: Figure) -> Iterator[Axes]:
    """The axes that are no colour scale."""
    return (axes for axes in figure.axes if axes.get_label() != "<colorbar>")


class TestWhatIsDrawn:
    def test_sizes_are_the_tables_and_gaps_where_no_circuit_suffices(self, study) -> None:
        figure = drawn(study, "circuit_sizes")
        table = [
            row for step in map(step_name, study.run.steps) for row in _quality_of(study, step)
        ]
        gaps = 0
        for axes, corruption in zip(panels(figure), ("first", "second", "abc"), strict=True):
            assert axes.get_title(loc="left") == f"corruption: {corruption}"
            assert axes.get_yscale() == "log"
            for share in (50, 80, 90, 95):
                values = [
                    row["value"]
                    for row in table
                    if (row["corruption"], row["measure"]) == (corruption, f"size_{share}")
                ]
                assert len(values) == 24 and has_line(axes, values)
                gaps += values.count(None)
            said = [text.get_text() for text in axes.texts]
            assert set(said) <= {"50 %", "80 %", "90 %", "95 %"} and "80 %" in said
        assert gaps > 0

    def test_overlaps_are_shown_both_ways_and_the_null_beside_them(self, study) -> None:
        figure = drawn(study, "edge_overlap")
        of_edges, strip, of_signs, *_ = panels(figure)
        for axes, prefix in ((of_edges, ""), (of_signs, "signed_")):
            found = compared(study, f"{prefix}edge_jaccard_corrected")
            steps = sorted({step for pair in found for step in pair})
            shown = axes.images[0].get_array()
            assert shown.shape == (12, 12) and np.allclose(shown, shown.T)
            for (a, b), row in found.items():
                assert np.isclose(shown[steps.index(b), steps.index(a)], row["value"])
        nulls = [
            compared(study, "edge_jaccard_corrected")[step, step]["null_mean"] for step in steps
        ]
        assert np.allclose(strip.images[0].get_array()[:, 0], nulls)

    def test_rings_mark_the_cells_whose_interval_reaches_the_null(self, study) -> None:
        axes = next(panels(drawn(study, "edge_overlap")))
        found = compared(study, "edge_jaccard_corrected")
        alike = [
            pair
            for pair, row in found.items()
            if pair[0] != pair[1] and row["ci_high"] >= row["null_mean"]
        ]
        (rings,) = [one for one in axes.collections if isinstance(one, PathCollection)]
        assert len(rings.get_offsets()) == 2 * len(alike) > 0
        assert len(alike) < len(found) / 2

    def test_circuits_run_to_the_right_and_their_hosts_upwards(self, study) -> None:
        axes, *_ = panels(drawn(study, "cross_faithfulness"))
        found = compared(study, "cross_faithfulness")
        steps = sorted({a for a, _ in found})
        shown = axes.images[0].get_array()
        assert len(found) == shown.size == 144 and not np.allclose(shown, shown.T)
        for (circuit, host), row in found.items():
            assert np.isclose(shown[steps.index(host), steps.index(circuit)], row["value"])
        assert "evaluated in" in axes.get_ylabel() and "circuit" in axes.get_xlabel()

    def test_circuits_of_the_other_task_run_on_each_task(self, study) -> None:
        on_ioi2, on_ioi3, overlap = panels(drawn(study, "cross_task"))
        for axes, task, other in ((on_ioi2, "ioi2", "ioi3"), (on_ioi3, "ioi3", "ioi2")):
            assert axes.get_title(loc="left") == f"on prompts of {task}"
            found = compared(study, "cross_task_faithfulness", task, other)
            steps = sorted({b for _, b in found})
            assert has_line(axes, [found[step, step]["value"] for step in steps])
            assert has_line(axes, [found[0, step]["value"] for step in steps])
            own = compared(study, "cross_faithfulness", task, task)
            assert has_line(axes, [own[step, step]["value"] for step in steps])
            assert has_line(axes, [own[step, step]["null_mean"] for step in steps])
        shared = compared(study, "edge_jaccard_corrected", "ioi3", "ioi2")
        assert has_line(overlap, [shared[step, step]["value"] for step in steps])
        assert on_ioi2.get_ylim() == on_ioi3.get_ylim()

    def test_heads_have_the_look_of_their_last_label_and_the_largest_a_name(self, study) -> None:
        figure = drawn(study, "head_trajectories", named=5)
        (axes,) = figure.axes
        table = rows(study, "heads.parquet")
        heads = {(row["layer"], row["head"]) for row in table}
        last = {(r["layer"], r["head"]): r["label"] for r in table if r["step"] == 184}
        largest, checked = {}, set()
        for layer, head in heads:
            values = [r["score"] for r in table if (r["layer"], r["head"]) == (layer, head)]
            (line,) = [
                line
                for line in axes.lines
                if np.size(line.get_ydata()) == 24 and np.allclose(line.get_ydata(), values)
            ]
            label = last[layer, head]
            color = HEAD_LOOKS[label].color if label else style.FAINT
            assert to_hex(line.get_color()) == color.lower()
            if label:
                largest[f"a{layer}.h{head} {label}"] = np.abs(values).max()
            checked.add(label)
        assert len(checked) > 3
        named = {text.get_text() for text in axes.texts}
        assert named == set(sorted(largest, key=lambda name: -largest[name])[:5])

    def test_overlap_stands_below_the_win_rate_on_the_same_steps(self, study) -> None:
        above, below = drawn(study, "win_rate_overlap").axes
        rates = [_win_rate_of(study, step) for step in map(step_name, study.run.steps)]
        assert has_line(above, rates)
        found = compared(study, "edge_jaccard_corrected")
        steps = sorted({b for _, b in found})
        assert has_line(below, [found[0, step]["value"] for step in steps])
        assert has_line(below, [found[0, step]["null_mean"] for step in steps])
        assert above.get_xlim() == below.get_xlim()
        assert len(below.collections) == 1

    def test_parts_are_stacked_in_the_order_of_the_computation(self, study) -> None:
        axes = drawn(study, "layer_change").axes[0]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["a0", "m0", "a1", "m1", "a2", "m2", "a3", "m3", "logits"]
        shown = axes.images[0].get_array()
        for place, part in enumerate(labels):
            found = compared(study, f"layer_change:{part}")
            steps = sorted({b for _, b in found})
            assert np.allclose(shown[place], [found[0, step]["value"] for step in steps])

    def test_heads_are_moved_both_ways_between_the_ends(self, study) -> None:
        figure = drawn(study, "head_transplant")
        for axes, pair in zip(panels(figure), ((0, 184), (184, 0)), strict=False):
            assert axes.get_title(loc="left") == (
                f"checkpoint: step {pair[0]} · head from: step {pair[1]}"
            )
            shown = axes.images[0].get_array()
            for layer, head in np.ndindex(4, 4):
                row = compared(study, f"head_transplant:a{layer}.h{head}")[pair]
                assert np.isclose(shown[layer, head], row["value"])

    def test_flips_are_all_and_in_two_parts_with_their_nulls(self, study) -> None:
        (axes,) = drawn(study, "edge_flips").axes
        for measure in ("edge_flips", "edge_flips_same_nodes", "edge_flips_changed_node"):
            found = compared(study, measure)
            steps = sorted({b for _, b in found})
            assert has_line(axes, [found[0, step]["value"] for step in steps])
            assert has_line(axes, [found[0, step]["null_mean"] for step in steps])
        assert len(axes.collections) == 3

    def test_first_and_last_circuit_stand_in_the_same_places(self, study) -> None:
        shown = _panels_of(lambda: drawn(study, "circuit_first_last", edges=60))
        (first, last) = (panel.edges for panel in shown)
        assert first and all(not look.lost and look.halo is None for look in first)
        edges = {(look.source, look.target) for look in first}
        after = {(s.source, s.target): s for s in last if not s.lost}
        assert {key for key, look in after.items() if look.halo is None} == edges & set(after)
        assert {(s.source, s.target) for s in last if s.lost} == edges - set(after)
        assert edges - set(after) and set(after) - edges
        boxes = [np.array([path.vertices for path in p._boxes.get_paths()]) for p in shown]
        assert np.array_equal(*boxes)

    def test_edges_of_one_task_and_of_both_look_different(self, study) -> None:
        alone = {
            task: _panels_of(lambda task=task: drawn(study, "circuit_first_last", task, edges=60))
            for task in ("ioi2", "ioi3")
        }
        shared = _panels_of(lambda: drawn(study, "circuit_tasks", edges=60))
        looks: dict[tuple[bool, bool], set[str]] = {}
        for place, panel in enumerate(shared):
            of_task = [
                {(s.source, s.target) for s in alone[task][place].edges if not s.lost}
                for task in ("ioi2", "ioi3")
            ]
            assert {(s.source, s.target) for s in panel.edges} == of_task[0] | of_task[1]
            for look in panel.edges:
                edge = look.source, look.target
                held = edge in of_task[0], edge in of_task[1]
                looks.setdefault(held, set()).add(look.dashes)
                if all(held):
                    color = np.array([int(look.color[at : at + 2], 16) for at in (1, 3, 5)])
                    assert np.ptp(color) == 0, "both is drawn in black"
            counts = [len(of_task[0] - of_task[1]), len(of_task[1] - of_task[0])]
            both = len(of_task[0] & of_task[1])
            title = panel._title.get_text()
            assert title.endswith(f"{counts[0]} ioi2 only · {counts[1]} ioi3 only · {both} both")
        assert looks == {(True, False): {"-"}, (False, True): {"--"}, (True, True): {"-"}}

    def test_the_first_step_alone_is_a_run_too(self, tmp_path: Path, short_study) -> None:
        """Pictures of graphs whose run kept one checkpoint show it once."""
        overview = OVERVIEWS["circuit_first_last"]
        tables = InputTables(short_study.inputs(overview, "ioi3"), [0])
        shown = _panels_of(lambda: overview_figure(overview, tables, "run", "ioi3"))
        assert len(shown) == 1


def _panels_of(draw: Callable[[], Figure]) -> list[GraphPanel]:
    """The panels that are made while something is drawn."""
    made: list[GraphPanel] = []
    plain = GraphPanel.__init__

    def noted(self: GraphPanel, *args: object, **named: object) -> None:
        plain(self, *args, **named)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GraphPanel, "__init__", noted)
        draw()
    return made


def _quality_of(study, step: str) -> list[dict]:
    return rows(study, f"circuit_quality/{step}.parquet")


def _win_rate_of(study, step: str) -> float:
    return rows(study, f"win_rate/{step}.parquet")[0]["win_rate"]


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def draw_again(study, name: str) -> None:
    task = None if OVERVIEWS[name].of_run else "ioi3"
    draw_overview(OVERVIEWS[name], study.tables(OVERVIEWS[name], task), "run", task)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "does not exist"),
    "no bytes": (lambda path: path.write_bytes(b""), "not a readable Parquet"),
    "no rows": (lambda path: rewrite(path, lambda table: table.slice(0, 0)), "has no rows"),
    "no column": (
        lambda path: rewrite(path, lambda t: t.drop_columns([t.column_names[-1]])),
        "lacks this column",
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "file", "columns"),
    [
        *(
            (name, "comparison.parquet", ("value", "ci_low", "ci_high", "null_mean"))
            for name, overview in sorted(OVERVIEWS.items())
            if "comparison" in overview.tables
        ),
        ("circuit_sizes", "circuit_quality/*.parquet", ("value", "ci_low", "ci_high")),
    ],
)
def test_what_is_nowhere_defined_leaves_a_picture_empty(
    name: str, file: str, columns: tuple[str, ...], own_study
) -> None:
    def without_values(table: pa.Table) -> pa.Table:
        for column in columns:
            at = table.column_names.index(column)
            table = table.set_column(at, column, pa.nulls(len(table), pa.float32()))
        return table

    for path in (own_study.folder / "results/runs/two_to_three").glob(f"*/{file}"):
        rewrite(path, without_values)
    draw_again(own_study, name)


class TestBadTables:
    @ALL
    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_table_that_cannot_be_used_is_named(self, name: str, fault: str, own_study) -> None:
        spoil, message = FAULTS[fault]
        overview = OVERVIEWS[name]
        task = None if overview.of_run else "ioi3"
        for table in overview.tables:
            path = own_study.files(table, task or own_study.run.evaluate[-1])[-1]
            before = path.read_bytes()
            spoil(path)
            with pytest.raises(UserError, match=message) as caught:
                draw_again(own_study, name)
            assert caught.value.source == str(path)
            path.write_bytes(before)

    @pytest.mark.parametrize(
        ("name", "measure"),
        [
            ("edge_overlap", "signed_edge_jaccard_corrected"),
            ("cross_faithfulness", "cross_faithfulness"),
            ("cross_task", "cross_task_faithfulness"),
            ("cross_task", "edge_jaccard_corrected"),
            ("win_rate_overlap", "edge_jaccard_corrected"),
            ("layer_change", "layer_change:m1"),
            ("head_transplant", "head_transplant:a1.h2"),
            ("edge_flips", "edge_flips_same_nodes"),
        ],
    )
    def test_a_step_that_was_not_compared_names_measure_and_file(
        self, name: str, measure: str, own_study
    ) -> None:
        path = own_study.folder / "results/runs/two_to_three/ioi3/comparison.parquet"

        def without_last(table: pa.Table) -> pa.Table:
            last = pc.and_(pc.equal(table["step_b"], 184), pc.equal(table["measure"], measure))
            return table.filter(pc.invert(last))

        rewrite(path, without_last)
        with pytest.raises(UserError, match=f"no row has measure = {measure}") as caught:
            draw_again(own_study, name)
        assert (caught.value.source, caught.value.key) == (str(path), "measure")
        assert "184" in str(caught.value)

    @pytest.mark.parametrize("prefix", ["layer_change", "head_transplant"])
    def test_a_family_of_measures_that_is_missing_is_named(self, prefix: str, own_study) -> None:
        path = own_study.folder / "results/runs/two_to_three/ioi3/comparison.parquet"
        rewrite(path, lambda t: t.filter(pc.invert(pc.starts_with(t["measure"], pattern=prefix))))
        with pytest.raises(UserError, match=f"no row has a measure {prefix}:") as caught:
            draw_again(own_study, prefix)
        assert caught.value.source == str(path)

    def test_a_missing_size_names_the_folder(self, own_study) -> None:
        home = own_study.folder / "results/runs/two_to_three/ioi3/circuit_quality"
        for path in home.iterdir():
            rewrite(path, lambda t: t.filter(pc.not_equal(t["measure"], "size_90")))
        with pytest.raises(UserError, match="size_90") as caught:
            draw_again(own_study, "circuit_sizes")
        assert caught.value.source == str(home)

    def test_a_table_that_was_not_given_is_asked_for(self, own_study) -> None:
        overview = OVERVIEWS["win_rate_overlap"]
        comparison = own_study.tables(OVERVIEWS["edge_flips"], "ioi3")
        with pytest.raises(UserError, match="no such table of ioi3 was given"):
            draw_overview(overview, comparison, "run", "ioi3")
        with pytest.raises(UserError, match="no table was given"):
            draw_overview(overview, InputTables([]), "run", "ioi3")

    def test_no_head_to_name_is_refused(self, own_study) -> None:
        with pytest.raises(UserError, match=r"figures\.head_trajectories: named"):
            drawn(own_study, "head_trajectories", named=0)

    def test_tasks_measured_at_different_steps_have_no_shared_graph(self, own_study) -> None:
        overview = OVERVIEWS["circuit_tasks"]
        tables = InputTables(own_study.inputs(overview)[:-1])
        with pytest.raises(UserError, match="other steps or another model"):
            draw_overview(overview, tables, "run")


class TestLabelsApart:
    def test_labels_that_fit_stay_where_they_are(self) -> None:
        places = np.array([0.9, 0.1, 0.5])
        assert np.allclose(apart(places, 0.05), places)

    def test_a_crowd_spreads_about_its_middle(self) -> None:
        moved = apart(np.array([0.5, 0.5, 0.5]), 0.1)
        assert np.allclose(sorted(moved), [0.4, 0.5, 0.6])

    def test_no_label_leaves_the_axes(self) -> None:
        for places in (np.zeros(5), np.ones(5)):
            moved = np.sort(apart(places, 0.1))
            assert moved[0] >= 0 and moved[-1] <= 1
            assert (np.diff(moved) >= 0.1 - 1e-12).all()

    def test_order_is_kept_and_the_gap_is_there_in_random_crowds(self) -> None:
        random = np.random.default_rng(3)
        for _ in range(50):
            places = random.random(8)
            moved = apart(places, 0.08)
            assert (np.argsort(moved) == np.argsort(places)).all()
            assert (np.diff(np.sort(moved)) >= 0.08 - 1e-9).all()
