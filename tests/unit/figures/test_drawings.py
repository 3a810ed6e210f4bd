"""What each film puts on the page."""

from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from matplotlib.collections import LineCollection

from timelapse import tables
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.films.film import FilmDrawing
from timelapse.figures.films.heatmap import HeatmapDrawing
from timelapse.figures.films.line_plots import BarsDrawing, LineDrawing
from timelapse.figures.films.registry import FILMS
from timelapse.figures.films.scatter import ScatterDrawing
from timelapse.figures.films.size_curves import SizeCurvesDrawing
from timelapse.figures.options import LOGIT_DIFFERENCE
from timelapse.stats import Z95

Tables = dict[str, list[Path]]


def drawing_of(name: str, paths: Tables, **options: object):
    given = InputTables(paths[FILMS[name].table])
    return FILMS[name].open(given, "ioi3", options, LOGIT_DIFFERENCE)


def drawn_from(name: str, table: pa.Table) -> FilmDrawing:
    """The drawing of a film, of another table than a file's."""
    drawing = resolve_name(FILMS[name].drawing)
    return drawing(table, "table", **LOGIT_DIFFERENCE.fill(dict(FILMS[name].arguments)))


def rows(path: Path, decomposition: str) -> list[dict[str, object]]:
    table = pq.read_table(path)
    return table.filter(pc.equal(table["decomposition"], decomposition)).to_pylist()


def test_stream_is_a_line_over_depth_with_a_band_of_two_standard_errors(small: Tables) -> None:
    drawing = drawing_of("stream", small)
    assert isinstance(drawing, LineDrawing)
    drawing.show(8)
    axes = drawing.figure.axes[0]
    expected = rows(small["logit_diff"][8], "stream")
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[:4] == ["input", "mid0", "pre1", "mid1"] and labels[-1] == "final"
    value = np.array([row["value"] for row in expected])
    spread = Z95 * np.array([row["std_error"] for row in expected])
    assert np.allclose(drawing.line.get_ydata(), value)
    band = drawing.band.get_paths()[0].vertices[:, 1]
    assert np.isclose(band.max(), (value + spread).max())
    assert np.isclose(band.min(), (value - spread).min())


def test_the_first_step_stays_behind_the_line(small: Tables) -> None:
    drawing = drawing_of("stream", small)
    first = [row["value"] for row in rows(small["logit_diff"][0], "stream")]
    for index in (0, 23):
        drawing.show(index)
        ghosts = [
            line
            for line in drawing.figure.axes[0].lines
            if len(line.get_ydata()) == len(first) and np.allclose(line.get_ydata(), first)
        ]
        assert any(line.get_label() == "step 0" for line in ghosts)


def test_layer_bars_are_the_values_and_carry_their_intervals(small: Tables) -> None:
    drawing = drawing_of("layer", small)
    assert isinstance(drawing, BarsDrawing)
    drawing.show(23)
    expected = rows(small["logit_diff"][23], "layer")
    value = np.array([row["value"] for row in expected])
    spread = Z95 * np.array([row["std_error"] for row in expected])
    assert np.allclose([bar.get_height() for bar in drawing.bars], value)
    (intervals,) = [
        artist for artist in drawing.figure.findobj(LineCollection) if len(artist.get_segments())
    ]
    ends = np.array([segment[:, 1] for segment in intervals.get_segments()])
    assert np.allclose(ends, np.stack([value - spread, value + spread], axis=1))
    labels = [label.get_text() for label in drawing.figure.axes[0].get_xticklabels()]
    assert labels == ["input", "a0", "m0", "a1", "m1", "a2", "m2", "a3", "m3"]


def test_head_has_layers_upwards_heads_across_and_no_bias(small: Tables) -> None:
    drawing = drawing_of("head", small)
    assert isinstance(drawing, HeatmapDrawing)
    drawing.show(23)
    shown = drawing.grids[0].image.get_array()
    assert shown.shape == (4, 4)
    for row in rows(small["logit_diff"][23], "head"):
        if row["head"] is not None:
            assert np.isclose(shown[int(row["layer"]), row["head"]], row["value"])
    assert drawing.grids[0].image.origin == "lower"


def test_the_colour_scale_is_symmetric_about_0_and_holds_every_step(small: Tables) -> None:
    drawing = drawing_of("head", small)
    low, high = drawing.grids[0].image.get_clim()
    values = [
        abs(row["value"])
        for path in small["logit_diff"]
        for row in rows(path, "head")
        if row["head"] is not None
    ]
    assert low == -high
    assert np.isclose(high, max(values))


def test_small_grids_carry_numbers_and_large_ones_marks(small: Tables, large: Tables) -> None:
    numbered, marked = drawing_of("head", small), drawing_of("head", large)
    numbered.show(0)
    marked.show(0)
    row = rows(small["logit_diff"][0], "head")[0]
    text = numbered.grids[0].texts[0].get_text()
    assert text == f"{row['value']:+.2f}\n±{Z95 * row['std_error']:.2f}".replace("-", "−")
    uncertain = sum(
        abs(row["value"]) <= Z95 * row["std_error"]
        for row in rows(large["logit_diff"][0], "head")
        if row["head"] is not None
    )
    assert not marked.grids[0].texts
    assert len(marked.grids[0]._marks.get_offsets()) == uncertain > 0


@pytest.mark.parametrize(
    ("scale", "words"),
    [(150, "+75\n±15"), (0.015, "+0.0075\n±0.0015"), (-0.015, "−0.0075\n±0.0015")],
)
def test_numbers_have_the_decimals_that_the_scale_needs(scale: float, words: str) -> None:
    table = pa.table(
        {
            "step": [0, 0],
            "layer": [0, 1],
            "head": [0, 0],
            "value": [0.5 * scale, scale],
            "std_error": [abs(0.1 * scale) / Z95] * 2,
        }
    )
    drawing = HeatmapDrawing(table, "table", rows="layer", columns="head", label="logits")
    drawing.show(0)
    assert drawing.grids[0].texts[0].get_text() == words


def test_a_heatmap_can_have_a_panel_for_each_corruption() -> None:
    positions = ("subject", "verb", "end")
    table = pa.table(
        {
            "step": [0] * 12,
            "corruption": ["first"] * 6 + ["second"] * 6,
            "layer": [0, 0, 0, 1, 1, 1] * 2,
            "position": positions * 4,
            "value": np.arange(12.0),
            "std_error": np.full(12, 0.1),
        }
    )
    drawing = HeatmapDrawing(
        table, "table", rows="layer", columns="position", panel="corruption", label="recovered"
    )
    drawing.show(0)
    titles = [axes.get_title(loc="left") for axes in drawing.figure.axes[:2]]
    assert titles == ["corruption: first", "corruption: second"]
    assert np.array_equal(drawing.grids[1].image.get_array(), [[6, 7, 8], [9, 10, 11]])
    labels = [label.get_text() for label in drawing.figure.axes[0].get_xticklabels()]
    assert labels == list(positions)


@pytest.mark.parametrize(("wildest", "end"), [(0.5, 0.5), (40.0, 1.0)])
def test_wild_values_do_not_take_the_colours_of_the_others(wildest: float, end: float) -> None:
    drawing = drawn_from("patch_z", head_table({"z": [0.1, wildest]}))
    assert isinstance(drawing, HeatmapDrawing)
    drawing.show(0)
    assert drawing.grids[0].image.get_clim() == (-end, end)
    colorbar = drawing.grids[0].image.colorbar
    assert colorbar is not None and colorbar.extend == ("both" if wildest > end else "neither")


def test_a_part_that_nothing_can_change_carries_no_mark_of_doubt(large: Tables) -> None:
    drawing = drawing_of("patch_resid", large)
    drawing.show(0)
    columns = drawing.grids[0]._marks.get_offsets()[:, 0]
    assert len(columns) and min(columns) >= 6


def patched(path: Path, site: str, corruption: str) -> dict[tuple[int, int], tuple[float, float]]:
    rows = pq.read_table(path).to_pylist()
    return {
        (row["layer"], row["head"]): (row["value"], row["std_error"])
        for row in rows
        if (row["site"], row["corruption"]) == (site, corruption)
    }


@pytest.mark.parametrize(("kind", "site"), [("out_vs_value", "v"), ("out_vs_pattern", "pattern")])
def test_a_point_is_a_head_output_to_the_right_and_part_of_it_upwards(
    kind: str, site: str, small: Tables
) -> None:
    drawing = drawing_of(kind, small)
    assert isinstance(drawing, ScatterDrawing)
    drawing.show(8)
    for number, corruption in enumerate(("first", "second", "abc")):
        out, part = (patched(small["patching"][8], s, corruption) for s in ("z", site))
        expected = [(out[head][0], part[head][0]) for head in sorted(out)]
        panel = drawing.panels[number]
        assert np.allclose(panel.dots.get_offsets(), expected)
        ends = np.array(panel.intervals.get_segments())
        across, up = (np.array([s[head][1] for head in sorted(s)]) for s in (out, part))
        assert np.allclose(np.ptp(ends[:16, :, 0], axis=1), 2 * Z95 * across)
        assert np.allclose(np.ptp(ends[16:, :, 1], axis=1), 2 * Z95 * up)


def test_the_names_are_those_of_the_heads_that_ever_matter_most(small: Tables) -> None:
    drawing = drawing_of("out_vs_value", small)
    largest: dict[str, float] = {}
    for path in small["patching"]:
        for site in ("z", "v"):
            for (layer, head), (value, _) in patched(path, site, "first").items():
                name = f"a{layer}.h{head}"
                largest[name] = max(largest.get(name, 0.0), abs(value))
    strongest_first = sorted(largest, key=lambda name: -largest[name])
    named = [text.get_text() for text in drawing.panels[0].names.values()]
    assert 2 <= len(named) <= 6
    assert named == strongest_first[: len(named)]


def test_names_stand_within_the_axes_and_beside_their_points(large: Tables) -> None:
    drawing = drawing_of("out_vs_value", large)
    for index in range(3):
        drawing.show(index)
        drawing.figure.canvas.draw()
        for panel in drawing.panels:
            frame = panel._axes.get_window_extent()
            for head, text in panel.names.items():
                box = text.get_window_extent()
                assert frame.x0 <= box.x0 and box.x1 <= frame.x1
                assert frame.y0 <= box.y0 and box.y1 <= frame.y1
                dot = panel._axes.transData.transform(panel.dots.get_offsets()[head])
                assert not box.contains(*dot)


def head_table(site_values: dict[str, list[float]]) -> pa.Table:
    rows = [
        {
            "step": 0,
            "corruption": "abc",
            "site": site,
            "layer": 0,
            "head": head,
            "position": None,
            "value": value,
            "std_error": 0.01,
        }
        for site, values in site_values.items()
        for head, value in enumerate(values)
    ]
    return pa.Table.from_pylist(rows, schema=tables.PATCHING)


def test_heads_that_share_values_have_the_same_height() -> None:
    table = head_table({"z": [0.1, 0.2, 0.3, 0.4], "v": [0.5, 0.6]})
    drawing = drawn_from("out_vs_value", table)
    assert isinstance(drawing, ScatterDrawing)
    drawing.show(0)
    expected = [(0.1, 0.5), (0.2, 0.5), (0.3, 0.6), (0.4, 0.6)]
    assert np.allclose(drawing.panels[0].dots.get_offsets(), expected)


def test_points_beyond_the_axes_are_drawn_at_their_ends_and_the_picture_says_so() -> None:
    table = head_table({"z": [0.1, 40.0], "v": [0.2, -0.5]})
    drawing = drawn_from("out_vs_value", table)
    assert isinstance(drawing, ScatterDrawing)
    drawing.show(0)
    assert np.allclose(drawing.panels[0].dots.get_offsets(), [(0.1, 0.2), (1.5, -0.5)])
    assert any("beyond the axes" in text.get_text() for text in drawing.figure.texts)


def test_attention_has_a_panel_for_each_label_in_rows_of_four(small: Tables) -> None:
    drawing = drawing_of("attention", small)
    drawing.show(23)
    panels = [axes for axes in drawing.figure.axes if axes.images]
    titles = [axes.get_title(loc="left").removeprefix("key: ") for axes in panels]
    table = pq.read_table(small["attention"][23]).to_pylist()
    assert titles == list(dict.fromkeys(row["key"] for row in table))
    places = [axes.get_position() for axes in panels]
    assert len({round(place.x0, 6) for place in places}) == 4
    assert len({round(place.y0, 6) for place in places}) == 2
    for row in table:
        if row["query"] == "end":
            shown = drawing.grids[titles.index(row["key"])].image.get_array()
            assert np.isclose(shown[row["layer"], row["head"]], row["value"])


def test_the_ranking_lists_the_heads_in_their_order_at_the_step(small: Tables) -> None:
    drawing = drawing_of("attention_change", small)
    for index in (5, 23):
        drawing.show(index)
        rows = pq.read_table(small["attention_change"][index]).sort_by("rank").to_pylist()
        for row, text in zip(rows, drawing._list, strict=False):
            name = f"a{row['layer']}.h{row['head']}"
            value, low, high = (f"{row[part]:.2f}" for part in ("value", "ci_low", "ci_high"))
            assert text.get_text() == f"{row['rank']}  {name}  {value}  ({low}–{high})"
        assert drawing._mark.get_xdata()[0] == drawing.steps[index]


def test_a_strip_is_coloured_where_its_head_holds_the_role(small: Tables) -> None:
    drawing = drawing_of("head_roles", small)
    drawing.show(12)
    axes = drawing.figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    steps = [pq.read_table(path).to_pylist() for path in small["head_roles"]]
    roles = list(dict.fromkeys(row["role"] for row in steps[0]))
    compared = 0
    for strip, name, image in zip(drawing._strips, names, axes.images, strict=True):
        shades = image.get_array()[0]
        colored = np.ptp(shades, axis=1) > 1e-6
        holds = [
            row["holds"]
            for rows in steps
            for row in rows
            if row["role"] == roles[strip.role] and f"a{row['layer']}.h{row['head']}" == name
        ]
        if name:
            assert colored.tolist() == holds
            compared += 1
        else:
            assert roles[strip.role] == "s_inhibition" and not colored.any()
    assert {strip.role for strip in drawing._strips} == set(range(len(roles)))
    assert compared > 6


def test_a_role_shows_its_strongest_heads_and_counts_the_others(large: Tables) -> None:
    drawing = drawing_of("head_roles", large, top=3)
    per_role = [strip.role for strip in drawing._strips]
    assert max(per_role.count(role) for role in per_role) == 3
    holding = {
        (row["layer"], row["head"])
        for path in large["head_roles"]
        for row in pq.read_table(path).to_pylist()
        if row["role"] == "induction" and row["holds"]
    }
    said = [text.get_text() for text in drawing.figure.texts]
    assert f"induction\n(+ {len(holding) - 3} weaker)" in said


def test_the_lens_draws_answer_and_foils_with_1_on_top_of_the_ranks(small: Tables) -> None:
    drawing = drawing_of("logit_lens", small)
    drawing.show(23)
    rows = pq.read_table(small["logit_lens"][23]).to_pylist()
    probability, rank = drawing.figure.axes[:2]
    for axes, measure in ((probability, "probability"), (rank, "rank")):
        drawn = {line.get_label(): line for line in axes.lines}
        for token, label in (("answer", "answer"), ("foil", "foils (mean)")):
            expected = [
                row["value"] for row in rows if (row["measure"], row["token"]) == (measure, token)
            ]
            assert np.allclose(drawn[label].get_ydata(), expected)
    low, high = rank.get_ylim()
    assert low > 40000 and high < 1 and rank.get_yscale() == "log"


def test_faithfulness_runs_over_the_sizes_of_circuits_with_its_band(small: Tables) -> None:
    drawing = drawing_of("faithfulness", small)
    assert isinstance(drawing, SizeCurvesDrawing)
    drawing.show(23)
    rows = pq.read_table(small["faithfulness"][23]).to_pylist()
    corruptions = list(dict.fromkeys(row["corruption"] for row in rows))
    assert all(axes.get_xscale() == "log" for axes in drawing.figure.axes)
    for curve, measure, line in drawing.curves:
        of_line = [row for row in rows if row["corruption"] == corruptions[line]]
        expected = [(row["n_edges"] or np.nan, row[measure]) for row in of_line]
        assert np.allclose(np.transpose(curve.get_data()), expected, equal_nan=True)
    assert len(drawing.curves) == 2 * len(corruptions)
    for band, line in drawing.bands:
        of_line = [row for row in rows if row["corruption"] == corruptions[line] and row["n_edges"]]
        edge = np.concatenate([path.vertices[:, 1] for path in band.get_paths()])
        assert np.isclose(edge.min(), min(row["ci_low"] for row in of_line))
        assert np.isclose(edge.max(), max(row["ci_high"] for row in of_line))
    assert len(drawing.bands) == len(corruptions)


def test_a_circuit_of_no_edges_has_no_place_on_the_axis_of_sizes(small: Tables) -> None:
    drawing = drawing_of("faithfulness", small)
    assert isinstance(drawing, SizeCurvesDrawing)
    sizes = [row["n_edges"] for row in pq.read_table(small["faithfulness"][0]).to_pylist()]
    assert 0 in sizes
    low, high = drawing.figure.axes[0].get_xlim()
    assert 0 < low < min(size for size in sizes if size) and high > max(sizes)


def test_wild_shares_do_not_flatten_the_curves(own: Tables) -> None:
    path = own["faithfulness"][0]
    table = pq.read_table(path)
    some = pc.equal(table["fraction"], table["fraction"][5])
    wild = pc.if_else(some, 40.0, table["faithfulness"])
    at = table.column_names.index("faithfulness")
    pq.write_table(table.set_column(at, "faithfulness", wild.cast(pa.float32())), path)
    assert pc.max(wild).as_py() == 40
    drawing = drawing_of("faithfulness", own)
    assert drawing.figure.axes[0].get_ylim()[1] == 1.6
    assert any("beyond the axes" in text.get_text() for text in drawing.figure.texts)
