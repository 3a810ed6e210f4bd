"""What each kind of figure puts on the page."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from matplotlib.collections import LineCollection, PathCollection

from timelapse import tables
from timelapse.circuits.selection import strongest
from timelapse.figures.bars import BarsDrawing
from timelapse.figures.graph import CircuitDrawing
from timelapse.figures.heatmap import HeatmapDrawing
from timelapse.figures.kinds import KINDS
from timelapse.figures.line import LineDrawing
from timelapse.figures.plots import Heatmap
from timelapse.figures.reading import read_tables
from timelapse.figures.renderers import open_drawing
from timelapse.figures.scene import Scene, open_scene

Tables = dict[str, list[Path]]


def drawing_of(kind: str, paths: Tables, **options: object):
    table = read_tables(paths[KINDS[kind].table], KINDS[kind].schema)
    return open_drawing(KINDS[kind].with_options(options).plot, table, "tables")


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
    spread = 1.96 * np.array([row["std_error"] for row in expected])
    assert np.allclose(drawing._line.get_ydata(), value)
    band = drawing._band.get_paths()[0].vertices[:, 1]
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
    spread = 1.96 * np.array([row["std_error"] for row in expected])
    assert np.allclose([bar.get_height() for bar in drawing._bars], value)
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
    shown = drawing._images[0].get_array()
    assert shown.shape == (4, 4)
    for row in rows(small["logit_diff"][23], "head"):
        if row["head"] is not None:
            assert np.isclose(shown[int(row["layer"]), row["head"]], row["value"])
    assert drawing._images[0].origin == "lower"


def test_the_colour_scale_is_symmetric_about_0_and_holds_every_step(small: Tables) -> None:
    drawing = drawing_of("head", small)
    low, high = drawing._images[0].get_clim()
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
    text = numbered._texts[0][0].get_text()
    assert text == f"{row['value']:+.2f}\n±{1.96 * row['std_error']:.2f}".replace("-", "−")
    uncertain = sum(
        abs(row["value"]) <= 1.96 * row["std_error"]
        for row in rows(large["logit_diff"][0], "head")
        if row["head"] is not None
    )
    assert not marked._texts[0]
    assert len(marked._marks[0].get_xdata()) == uncertain > 0


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
            "std_error": [abs(0.1 * scale) / 1.96] * 2,
        }
    )
    drawing = open_drawing(Heatmap(rows="layer", columns="head", unit="logits"), table, "table")
    drawing.show(0)
    assert drawing._texts[0][0].get_text() == words


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
    plot = Heatmap(rows="layer", columns="position", panel="corruption", unit="recovered")
    drawing = open_drawing(plot, table, "table")
    drawing.show(0)
    titles = [axes.get_title(loc="left") for axes in drawing.figure.axes[:2]]
    assert titles == ["corruption: first", "corruption: second"]
    assert np.array_equal(drawing._images[1].get_array(), [[6, 7, 8], [9, 10, 11]])
    labels = [label.get_text() for label in drawing.figure.axes[0].get_xticklabels()]
    assert labels == list(positions)


@pytest.mark.parametrize("n", [10, 30, 100])
def test_the_drawn_edges_are_the_selected_ones(n: int, small: Tables) -> None:
    drawing = drawing_of("circuit", small, edges=n)
    assert isinstance(drawing, CircuitDrawing)
    drawing.show(23)
    table = pq.read_table(small["edges"][23])
    for corruption, panel in zip(("first", "second", "abc"), drawing._panels, strict=True):
        expected = strongest(table.filter(pc.equal(table["corruption"], corruption)), n)
        edges = drawing.selection.edges[184, corruption]
        found = [(edge.source.name, edge.target.name) for edge in edges]
        assert found == list(
            zip(expected["source"].to_pylist(), expected["target"].to_pylist(), strict=True)
        )
        assert bool(found) or n == 10
        assert len(panel._edges.get_paths()) == len(found)
        widths = panel._edges.get_linewidth()
        assert (np.diff(widths) <= 0).all(), "the strongest come first and are the widest"


def test_edge_widths_mean_the_same_in_every_frame(small: Tables) -> None:
    drawing = drawing_of("circuit", small)
    points = []
    for index in range(24):
        drawing.show(index)
        for corruption, panel in zip(drawing.selection.corruptions, drawing._panels, strict=True):
            edges = drawing.selection.edges[drawing.steps[index], corruption]
            widths = panel._edges.get_linewidth() if edges else []
            points += [(abs(edge.score), width) for edge, width in zip(edges, widths, strict=True)]
    score, width = np.array(points).T
    slope, start = np.polyfit(score, width, 1)
    assert slope > 0
    assert np.allclose(width, slope * score + start)


def test_sign_is_colour_and_doubt_is_dashes(small: Tables) -> None:
    drawing = drawing_of("circuit", small, edges=100)
    drawing.show(23)
    signs, doubts = set(), set()
    for corruption, panel in zip(drawing.selection.corruptions, drawing._panels, strict=True):
        edges = drawing.selection.edges[184, corruption]
        styles = zip(edges, panel._edges.get_edgecolor(), panel._edges.get_linestyle(), strict=True)
        for edge, color, (_, dashes) in styles:
            signs.add((edge.score < 0, tuple(color)))
            doubts.add((abs(edge.score) > 1.96 * edge.std_error, dashes is None))
    assert len(signs) == 2 and len({helps for helps, _ in signs}) == 2
    assert doubts == {(True, True), (False, False)}


def test_nodes_and_edges_keep_their_places(small: Tables) -> None:
    drawing = drawing_of("circuit", small)
    seen: dict[object, object] = {}
    for index in range(24):
        drawing.show(index)
        panel = drawing._panels[0]
        edges = drawing.selection.edges[drawing.steps[index], "first"]
        for edge, path in zip(edges, panel._edges.get_paths(), strict=True):
            key = (edge.source, edge.target)
            assert np.array_equal(seen.setdefault(key, path.vertices), path.vertices)
        boxes = np.array([path.vertices for path in panel._lit.get_paths()])
        assert np.array_equal(seen.setdefault("boxes", boxes), boxes)
    assert len(seen) > 5


def test_edges_into_q_k_and_v_end_at_different_places(small: Tables) -> None:
    drawing = drawing_of("circuit", small, edges=100)
    ends: dict[tuple[int, int], dict[str, tuple[float, float]]] = {}
    for edges in drawing.selection.edges.values():
        for edge in edges:
            if edge.target.head is not None:
                path = drawing._panels[0]._routes.curve(edge.source, edge.target)
                head = ends.setdefault((edge.target.layer, edge.target.head), {})
                assert head.setdefault(edge.target.kind, tuple(path.vertices[-1])) == tuple(
                    path.vertices[-1]
                )
    full = [head for head in ends.values() if len(head) == 3]
    assert full
    assert all(head["q"][0] < head["k"][0] < head["v"][0] for head in full)


def test_an_empty_circuit_says_so(own: Tables) -> None:
    for path in own["edges"]:
        table = pq.read_table(path)
        pq.write_table(table.filter(pc.not_equal(table["target"], "logits")), path)
    drawing = drawing_of("circuit", own)
    drawing.show(0)
    panel = drawing._panels[0]
    assert panel._nothing.get_visible() and "no path" in panel._nothing.get_text()


def circuit_scene(paths: Tables) -> Scene:
    return open_scene("circuit", paths["edges"], paths["win_rate"], "two_to_three", "ioi3")


def test_the_json_of_a_circuit_is_its_selection(small: Tables, tmp_path: Path) -> None:
    circuit_scene(small).write_json(64, tmp_path / "circuit.json")
    document = json.loads((tmp_path / "circuit.json").read_text())
    table = pq.read_table(small["edges"][8])
    expected = []
    for corruption in ("first", "second", "abc"):
        part = table.filter(pc.equal(table["corruption"], corruption))
        for row in strongest(part, 30).to_pylist():
            node, _, port = row["target"].partition("<")
            port = port.rstrip(">") or None
            expected.append(
                (row["source"], node, port, row["score"], row["std_error"], 64, corruption)
            )
    fields = ("source", "target", "port", "score", "std_error", "step", "corruption")
    assert [tuple(edge[name] for name in fields) for edge in document["edges"]] == expected
    assert document["graph"]["run"] == "two_to_three" and document["graph"]["step"] == 64


def test_networkx_reads_the_json_of_a_circuit(small: Tables, tmp_path: Path) -> None:
    circuit_scene(small).write_json(64, tmp_path / "circuit.json")
    document = json.loads((tmp_path / "circuit.json").read_text())
    graph = nx.node_link_graph(document, edges="edges")
    assert graph.number_of_edges() == len(document["edges"]) > 10
    assert nx.is_directed_acyclic_graph(graph)
    assert set(graph) == {end for edge in graph.edges for end in edge[:2]}
    heads = [data for _, data in graph.nodes(data=True) if data["kind"] == "head"]
    assert heads and all(0 <= data["layer"] < 4 and 0 <= data["head"] < 4 for data in heads)


def test_the_svg_of_a_circuit_holds_text_and_no_date(small: Tables, tmp_path: Path) -> None:
    scene = circuit_scene(small)
    scene.write_svg(64, tmp_path / "a.svg")
    scene.write_svg(184, tmp_path / "other.svg")
    scene.write_svg(64, tmp_path / "b.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text() != (tmp_path / "other.svg").read_text()
    assert "dc:date" not in text
    words = {"".join(node.itertext()).strip() for node in ElementTree.fromstring(text).iter()}
    assert {"logits", "input", "a3.h1"} <= words


def test_shared_keys_and_values_are_drawn_and_lead_to_every_reader() -> None:
    edges = [
        ("input", "a0.h1<v>", -1.0),
        ("a0.h2", "logits", -1.0),
        ("a0.h3", "logits", 1.0),
        ("input", "a0.h0<k>", 0.01),
        ("input", "a0.h3<q>", 0.01),
    ]
    sources, targets, scores = zip(*edges, strict=True)
    table = pa.table(
        {
            "step": pa.array([0] * 5, pa.int32()),
            "corruption": ["abc"] * 5,
            "method": ["eap"] * 5,
            "source": sources,
            "target": targets,
            "score": pa.array(scores, pa.float32()),
            "std_error": pa.array([0.1] * 5, pa.float32()),
        },
        schema=tables.EDGES,
    )
    drawing = open_drawing(KINDS["circuit"].plot, table, "table")
    assert isinstance(drawing, CircuitDrawing)
    drawing.show(0)
    links = drawing.selection.document(0, {})["edges"]
    into = {(link["target"], link["port"]) for link in links if link["source"] == "input"}
    assert {("a0.h2", "v"), ("a0.h3", "v"), ("a0.h3", "q")} == into
    assert drawing.figure.findobj(PathCollection)
