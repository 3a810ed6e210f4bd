"""The circuit's picture and its JSON: edges, signs, what came and went, and the roles of heads."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from circuits.edge_tables import circuit_rows, edge_rows
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text

from timelapse.circuits.graph import GraphShape, Target, shape_of
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.films.circuit import CircuitDrawing
from timelapse.figures.films.film import FilmRenderer
from timelapse.figures.films.registry import FILMS
from timelapse.figures.graph.circuit_edges import ShownEdge
from timelapse.figures.graph.edge_style import EdgeStyle
from timelapse.figures.graph.layout import EdgeCurves, GraphLayout
from timelapse.figures.graph.panel import GraphPanel
from timelapse.figures.options import LOGIT_DIFFERENCE
from timelapse.stats import Z95

Tables = dict[str, list[Path]]

CORRUPTIONS = ("first", "second", "abc")


def drawing_of(paths: Tables, roles: bool = True, **options: object) -> CircuitDrawing:
    given = InputTables([*paths["edges"], *(paths["head_roles"] if roles else [])])
    drawing = FILMS["circuit"].open(given, "ioi3", options, LOGIT_DIFFERENCE)
    assert isinstance(drawing, CircuitDrawing)
    return drawing


def drawn(drawing: CircuitDrawing, index: int) -> Iterator[tuple[str, GraphPanel, list[EdgeStyle]]]:
    """Each corruption's panel and the looks of its circuit's edges, the strongest edge first."""
    drawing.show(index)
    for corruption, panel in zip(drawing.circuits.corruptions, drawing.panels, strict=True):
        yield corruption, panel, [look for look in panel.edges if not look.lost][::-1]


def names(edges: tuple[ShownEdge, ...]) -> list[tuple[str, str]]:
    return [(edge.source.name, edge.target.name) for edge in edges]


def expected_circuit(path: Path, corruption: str, n: int) -> list[tuple[str, str]]:
    table = pq.read_table(path)
    return circuit_names(table.filter(pc.equal(table["corruption"], corruption)), n)


def circuit_names(table: pa.Table, n: int) -> list[tuple[str, str]]:
    rows = circuit_rows(
        table, n, shape_of(table["source"].to_pylist() + table["target"].to_pylist())
    )
    return [(row["source"], row["target"]) for row in rows]


@pytest.mark.parametrize("n", [10, 30, 100])
def test_the_drawn_edges_are_the_selected_ones_the_strongest_on_top(n: int, small: Tables) -> None:
    drawing = drawing_of(small, edges=n)
    for corruption, panel, looks in drawn(drawing, 23):
        edges = drawing.circuits.edges[184, corruption]
        assert names(edges) == expected_circuit(small["edges"][23], corruption, n)
        assert bool(edges) or n == 10
        assert [(look.source, look.target) for look in looks] == [
            (edge.source, edge.target) for edge in edges
        ]
        assert (np.diff([look.width for look in looks]) <= 0).all()
        assert len(panel._lines.get_paths()) == 2 * len(panel.edges)


def test_edge_widths_mean_the_same_in_every_frame(small: Tables) -> None:
    drawing = drawing_of(small)
    points = [
        (abs(edge.score), look.width)
        for index in range(24)
        for corruption, _, looks in drawn(drawing, index)
        for edge, look in zip(
            drawing.circuits.edges[drawing.steps[index], corruption], looks, strict=True
        )
    ]
    score, width = np.array(sorted(points)).T
    assert (np.diff(width) >= 0).all() and np.ptp(width) > 3
    assert np.allclose((width - 0.8) ** (1 / 0.7) / score, (6.0 - 0.8) ** (1 / 0.7) / score.max())


def hue(color: str) -> str:
    """Which of the three colours of edges a tint comes from."""
    direction = 1.0 - np.array(to_rgb(color))
    cosines = {}
    for name in (style.BLUE, style.ORANGE, style.MUTED):
        pure = 1.0 - np.array(to_rgb(name))
        cosines[name] = direction @ pure / np.linalg.norm(direction) / np.linalg.norm(pure)
    return max(cosines, key=lambda name: cosines[name])


def test_colour_is_sign_and_grey_is_an_interval_that_includes_0(small: Tables) -> None:
    drawing = drawing_of(small, edges=100)
    seen = set()
    for corruption, _, looks in drawn(drawing, 23):
        for edge, look in zip(drawing.circuits.edges[184, corruption], looks, strict=True):
            clear = abs(edge.score) > Z95 * edge.std_error
            expected = (style.BLUE if edge.score < 0 else style.ORANGE) if clear else style.MUTED
            assert hue(look.color) == expected
            seen.add(expected)
    assert len(seen) == 3


def test_weak_edges_of_large_circuits_are_pale_and_those_of_small_ones_are_not(
    small: Tables,
) -> None:
    for n, paled in ((8, False), (200, True)):
        for corruption, _, looks in drawn(drawing := drawing_of(small, edges=n), 23):
            edges = drawing.circuits.edges[184, corruption]
            full = {style.BLUE.lower(), style.ORANGE.lower(), style.MUTED.lower()}
            pale = [look.color.lower() not in full for look in looks]
            assert pale[-1:] == [paled] * bool(edges)
    assert len(edges) > 100


def test_kept_added_and_lost_edges_are_told_apart_by_halo_and_dashes(small: Tables) -> None:
    drawing = drawing_of(small, edges=60)
    seen = set()
    for corruption, panel, looks in drawn(drawing, 23):
        first = set(expected_circuit(small["edges"][0], corruption, 60))
        last = set(expected_circuit(small["edges"][23], corruption, 60))
        for look in looks:
            kept = (look.source.name, look.target.name) in first
            assert (look.halo is None) == kept and look.dashes == "-"
            seen.add("kept" if kept else "added")
        lost = [look for look in panel.edges if look.lost]
        assert {(one.source.name, one.target.name) for one in lost} == first - last
        assert all(one.dashes == "--" and one.halo is None for one in lost)
        assert panel.edges[: len(lost)] == tuple(lost), "the lost lie beneath"
        seen.update("lost" for _ in lost)
        assert f"{len(last - first)} added, {len(first - last)} lost" in panel._title.get_text()
    assert seen == {"kept", "added", "lost"}


def test_at_the_first_step_every_edge_is_kept(small: Tables) -> None:
    for _, panel, looks in drawn(drawing_of(small), 0):
        assert looks and len(looks) == len(panel.edges)
        assert all(look.halo is None for look in looks)


def test_boxes_have_the_colour_of_the_strongest_role_that_the_head_holds(small: Tables) -> None:
    drawing = drawing_of(small, edges=100)
    roles = [row for path in small["head_roles"] for row in pq.read_table(path).to_pylist()]
    order = list(dict.fromkeys(row["role"] for row in roles))
    largest = {
        role: max(
            (row["score"] for row in roles if row["role"] == role and row["holds"]), default=1
        )
        for role in order
    }
    compared = set()
    for index in (0, 23):
        step = drawing.steps[index]
        for _, panel, looks in drawn(drawing, index):
            fills = dict(
                zip((n.name for n in panel._nodes), panel._boxes.get_facecolor(), strict=True)
            )
            for node in {look.source for look in looks}:
                holds = {
                    row["role"]: row["score"] / largest[row["role"]]
                    for row in roles
                    if (row["step"], row["layer"], row["head"]) == (step, node.layer, node.head)
                    and row["holds"]
                }
                role = max(holds, key=lambda name: holds[name]) if holds else None
                expected = "#ffffff" if role is None else style.ROLES[order.index(role)].lower()
                assert to_hex(fills[node.name]) == expected
                compared.add(role)
    assert len(compared) > 2 and None in compared


def test_the_legend_names_the_roles_that_are_held(small: Tables) -> None:
    said = {text.get_text() for text in drawing_of(small).figure.findobj(Text)}
    assert {"previous token", "name mover"} <= said and "s inhibition" not in said


def test_without_roles_the_circuit_is_drawn_in_white_boxes(small: Tables) -> None:
    for _, panel, looks in drawn(drawing_of(small, roles=False), 23):
        lit = panel._boxes.get_facecolor()
        assert looks and {to_hex(color) for color in lit if color[3]} == {"#ffffff"}
    given = InputTables([*small["edges"], *small["win_rate"]])
    assert FilmRenderer(FILMS["circuit"], given, "run", "ioi3").draw(184).any()


def test_nodes_and_edges_keep_their_places(small: Tables) -> None:
    drawing = drawing_of(small)
    seen: dict[object, object] = {}
    for index in range(24):
        drawing.show(index)
        panel = drawing.panels[0]
        for look, path in zip(panel.edges, panel._lines.get_paths()[1::2], strict=True):
            key = (look.source, look.target)
            assert np.array_equal(seen.setdefault(key, path.vertices), path.vertices)
        boxes = np.array([path.vertices for path in panel._boxes.get_paths()])
        assert np.array_equal(seen.setdefault("boxes", boxes), boxes)
    assert len(seen) > 5


def test_edges_into_q_k_and_v_end_at_different_places() -> None:
    layout = GraphLayout(GraphShape(4, 4, 4))
    curves = EdgeCurves(layout)
    source = layout.shape.sources[0]
    for layer in range(4):
        ends = [
            curves.curve(source, Target(kind, layer, 2)).vertices[-1] for kind in ("q", "k", "v")
        ]
        assert ends[0][0] < ends[1][0] < ends[2][0]
        assert len({end[1] for end in ends}) == 1


@pytest.mark.parametrize("shape", [GraphShape(4, 4, 4), GraphShape(12, 12, 12)])
def test_curves_bend_around_boxes(shape: GraphShape) -> None:
    """The heads of the first layer reach the logits through the gaps between columns."""
    layout = GraphLayout(shape)
    curves = EdgeCurves(layout)
    at = np.linspace(0, 1, 400)[:, None]
    bent, straight = [], []
    for source in layout.shape.sources[1 : 1 + shape.n_heads]:
        a, b, c, d = curves.curve(source, Target("logits")).vertices
        curve = (1 - at) ** 3 * a + 3 * at * (1 - at) ** 2 * b + 3 * at**2 * (1 - at) * c
        for points, found in ((curve + at**3 * d, bent), (a + at * (d - a), straight)):
            inner = points[(points[:, 1] > 1.5) & (points[:, 1] < shape.n_layers + 0.5)]
            found.append(layout.covered(inner, 0.0).mean())
    assert np.mean(bent) < 0.6 * np.mean(straight)


def test_points_in_boxes_are_covered_and_others_are_not() -> None:
    layout = GraphLayout(GraphShape(3, 2, 2))
    nodes = [node for node in layout.nodes() if node.layer is not None]
    boxes = np.array([layout.box(node) for node in nodes])
    points = np.random.default_rng(0).uniform((-1, -0.3), (3, 4.3), (2000, 2))
    low, high = boxes.min(axis=1), boxes.max(axis=1)
    inside = ((points[:, None] > low) & (points[:, None] < high)).all(axis=-1).any(axis=1)
    assert 50 < inside.sum() < 1000
    assert (layout.covered(points, 0.0) == inside).all()


def test_pooled_is_the_circuit_of_the_mean_over_corruptions(small: Tables) -> None:
    drawing = drawing_of(small, edges=40, corruption="pooled")
    rows = pq.read_table(small["edges"][23]).to_pylist()
    sums: dict[tuple[str, str], float] = {}
    for row in rows:
        edge = row["source"], row["target"]
        sums[edge] = sums.get(edge, 0.0) + row["score"] / 3
    sources, targets = zip(*sums, strict=True)
    table = pa.table({"source": sources, "target": targets, "score": list(sums.values())})
    expected = circuit_names(table, 40)
    assert names(drawing.circuits.edges[184, "pooled"]) == expected
    assert len(expected) > 5 and len(drawing.panels) == 1


def test_one_corruption_can_be_drawn_alone(small: Tables) -> None:
    alone, all_three = drawing_of(small, corruption="second"), drawing_of(small)
    assert alone.circuits.corruptions == ("second",)
    assert names(alone.circuits.edges[64, "second"]) == names(
        all_three.circuits.edges[64, "second"]
    )
    with pytest.raises(UserError, match="Choose among pooled, first, second, abc"):
        drawing_of(small, corruption="third")


def test_the_first_method_of_the_table_is_drawn_and_whole_nodes_are_left_out(own: Tables) -> None:
    for path in own["edges"]:
        table = pq.read_table(path)
        other = table.set_column(2, "method", pa.array(["exact"] * len(table)))
        scores = pa.array(-np.asarray(table["score"]), pa.float32())
        other = other.set_column(other.column_names.index("score"), "score", scores)
        node = table.slice(0, 5).set_column(2, "method", pa.array(["node"] * 5))
        node = node.set_column(4, "target", pa.nulls(5, pa.string()))
        pq.write_table(pa.concat_tables([node, table, other]), path)
    default, exact = drawing_of(own), drawing_of(own, method="exact")
    assert (default.circuits.method, exact.circuits.method) == ("eap", "exact")
    edges = default.circuits.edges[184, "abc"]
    assert edges and names(edges) == names(exact.circuits.edges[184, "abc"])
    for edge, opposite in zip(edges, exact.circuits.edges[184, "abc"], strict=True):
        assert edge.score == -opposite.score


def test_an_empty_circuit_says_so(own: Tables) -> None:
    for path in own["edges"]:
        table = pq.read_table(path)
        weak = pc.equal(table["target"], "logits")
        scores = pc.if_else(weak, pa.scalar(0, pa.float32()), table["score"])
        pq.write_table(table.set_column(table.column_names.index("score"), "score", scores), path)
    drawing = drawing_of(own)
    drawing.show(0)
    panel = drawing.panels[0]
    assert panel._nothing.get_visible() and "no path" in panel._nothing.get_text()


def circuit_film(paths: Tables) -> FilmRenderer:
    given = InputTables([path for table in FILMS["circuit"].tables for path in paths[table]])
    return FilmRenderer(FILMS["circuit"], given, "two_to_three", "ioi3")


def document_of(paths: Tables, step: int, folder: Path) -> dict:
    circuit_film(paths).write_frame(step, folder / "circuit.json")
    return json.loads((folder / "circuit.json").read_text())


def test_the_json_of_a_circuit_is_its_selection(small: Tables, tmp_path: Path) -> None:
    document = document_of(small, 64, tmp_path)
    table = pq.read_table(small["edges"][8])
    expected = []
    for corruption in CORRUPTIONS:
        part = table.filter(pc.equal(table["corruption"], corruption))
        for row in circuit_rows(part, 30, shape_of(part["target"].to_pylist())):
            node, _, port = row["target"].partition("<")
            port = port.rstrip(">") or None
            expected.append(
                (row["source"], node, port, row["score"], row["std_error"], 64, corruption)
            )
    fields = ("source", "target", "port", "score", "std_error", "step", "corruption")
    assert [tuple(edge[name] for name in fields) for edge in document["edges"]] == expected
    assert document["graph"]["run"] == "two_to_three" and document["graph"]["step"] == 64


def test_the_json_says_what_was_kept_added_and_lost(small: Tables, tmp_path: Path) -> None:
    document = document_of(small, 184, tmp_path)
    before = {
        (row["corruption"], row["source"], row["target"]): row["score"]
        for row in pq.read_table(small["edges"][0]).to_pylist()
    }
    seen = set()
    for corruption in CORRUPTIONS:
        first = set(expected_circuit(small["edges"][0], corruption, 30))
        last = set(expected_circuit(small["edges"][23], corruption, 30))
        for edge in document["edges"]:
            if edge["corruption"] == corruption:
                target = edge["key"].split(":")[1]
                kept = (edge["source"], target) in first
                assert edge["change"] == ("kept" if kept else "added")
                assert edge["score_at_first_step"] == before[corruption, edge["source"], target]
                assert edge["clear"] == (abs(edge["score"]) > Z95 * edge["std_error"])
                seen.add(edge["change"])
        lost = [edge for edge in document["graph"]["lost"] if edge["corruption"] == corruption]
        assert {(edge["source"], edge["target"]) for edge in lost} == first - last
        seen.update(edge["change"] for edge in lost)
    assert seen == {"kept", "added", "lost"}
    assert document["graph"]["first_step"] == 0 and document["graph"]["method"] == "eap"


def test_the_json_names_the_roles_of_heads(small: Tables, tmp_path: Path) -> None:
    document = document_of(small, 184, tmp_path)
    holds: dict[str, dict[str, float]] = {}
    for row in pq.read_table(small["head_roles"][23]).to_pylist():
        if row["holds"]:
            holds.setdefault(f"a{row['layer']}.h{row['head']}", {})[row["role"]] = row["score"]
    compared = 0
    for node in document["nodes"]:
        assert node["roles"] == holds.get(node["id"], {})
        assert node["role"] == next(iter(node["roles"]), None)
        compared += node["role"] is not None
    assert compared > 1


def test_networkx_reads_the_json_of_a_circuit(small: Tables, tmp_path: Path) -> None:
    document = document_of(small, 64, tmp_path)
    graph = nx.node_link_graph(document, edges="edges")
    assert graph.number_of_edges() == len(document["edges"]) > 10
    assert nx.is_directed_acyclic_graph(graph)
    assert set(graph) == {end for edge in graph.edges for end in edge[:2]}
    heads = [data for _, data in graph.nodes(data=True) if data["kind"] == "head"]
    assert heads and all(0 <= data["layer"] < 4 and 0 <= data["head"] < 4 for data in heads)


def test_the_svg_of_a_circuit_holds_text_and_no_date(small: Tables, tmp_path: Path) -> None:
    film = circuit_film(small)
    film.write_frame(64, tmp_path / "a.svg")
    film.write_frame(184, tmp_path / "other.svg")
    film.write_frame(64, tmp_path / "b.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text() != (tmp_path / "other.svg").read_text()
    assert "dc:date" not in text
    words = {"".join(node.itertext()).strip() for node in ElementTree.fromstring(text).iter()}
    assert {"logits", "input", "a3.h1"} <= words


def test_shared_keys_and_values_are_drawn_and_lead_to_every_reader() -> None:
    shape = GraphShape(n_layers=1, n_heads=4, n_kv_heads=2)
    scores = {
        ("input", "a0.h1<v>"): -1.0,
        ("a0.h2", "logits"): -1.0,
        ("a0.h3", "logits"): 1.0,
        ("input", "a0.h0<k>"): 0.01,
        ("input", "a0.h3<q>"): 0.01,
    }
    every = np.array([scores.get((one.name, other.name), 0.0) for one, other in shape.edges])
    table = edge_rows(shape, 0, {("abc", "eap"): every})
    drawing = CircuitDrawing(table, "table", score="score", edges=5)
    drawing.show(0)
    links = drawing.document(0, {})["edges"]
    into = {(link["target"], link["port"]) for link in links if link["source"] == "input"}
    assert {("a0.h2", "v"), ("a0.h3", "v"), ("a0.h3", "q")} == into
    assert len(drawing.panels[0].edges) == 4
