"""Circuits in the formats of other tools."""

import io
import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from circuits.edge_tables import write_edges

from timelapse.circuits.export import ExportedCircuit, graphml, importances, width
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.errors import UserError

ABOUT = {"run": "two_to_three", "step": 8}
PLAIN = GraphShape(n_layers=2, n_heads=2, n_kv_heads=2)
SHARED = GraphShape(n_layers=1, n_heads=4, n_kv_heads=2)
N_KEPT = 20


def made(
    folder: Path, shape: GraphShape, n: int = N_KEPT
) -> tuple[ExportedCircuit, dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    scores = {
        (name, "EAP"): random.standard_normal(len(shape.edges)).astype(np.float32)
        for name in ("first", "second")
    }
    scored = ScoredEdges.read(write_edges(folder, shape, {8: scores}))
    return ExportedCircuit.strongest(scored, 8, "EAP", n), {
        name: row for (name, _), row in scores.items()
    }


def read(circuit: ExportedCircuit) -> nx.MultiDiGraph:
    text = graphml(circuit, ABOUT)
    return nx.read_graphml(io.BytesIO(text.encode()), force_multigraph=True)


def kept_names(circuit: ExportedCircuit) -> set[str]:
    return {
        f"{source.name}->{target.name}"
        for (source, target), kept in zip(circuit.shape.edges, circuit.kept, strict=True)
        if kept
    }


def test_graphml_holds_the_edges_of_the_circuit_and_no_others(tmp_path: Path) -> None:
    circuit, scores = made(tmp_path, PLAIN)
    graph = read(circuit)
    assert {key.split("@")[0] for *_, key in graph.edges(keys=True)} == kept_names(circuit)
    assert 5 < graph.number_of_edges() == circuit.kept.sum() <= N_KEPT
    assert graph.graph["run"] == "two_to_three" and graph.graph["step"] == 8
    names = [f"{source.name}->{target.name}" for source, target in PLAIN.edges]
    for source, target, key, data in graph.edges(keys=True, data=True):
        number = names.index(key.split("@")[0])
        assert key.split("->")[0] == source
        assert key.split("->")[1].split("<")[0].split("@")[0] == target
        assert data["score"] == pytest.approx(circuit.scores[number])
        assert data["helps"] == (circuit.scores[number] < 0)
        assert data["score_first"] == pytest.approx(scores["first"][number])
        assert data["score_second"] == pytest.approx(scores["second"][number])


def test_graphml_nodes_are_heads_mlps_input_and_logits(tmp_path: Path) -> None:
    graph = read(made(tmp_path, PLAIN)[0])
    for name, data in graph.nodes(data=True):
        expected = {"input": "input", "logits": "logits", "a": "head", "m": "mlp"}
        assert data["kind"] == expected.get(name, expected.get(name[0]))
        if data["kind"] == "head":
            assert name == f"a{data['layer']}.h{data['head']}"
        else:
            assert "head" not in data
    assert nx.has_path(graph, "input", "logits")


def test_several_ports_of_a_head_are_several_edges(tmp_path: Path) -> None:
    graph = read(made(tmp_path, PLAIN, n=10_000)[0])
    ports = [data["port"] for data in graph.get_edge_data("input", "a1.h0").values()]
    assert sorted(ports) == ["k", "q", "v"]
    assert all("port" not in data for data in graph.get_edge_data("input", "m0").values())


def test_a_shared_value_leads_to_each_of_its_heads_in_the_circuit(tmp_path: Path) -> None:
    scores = np.zeros(len(SHARED.edges), dtype=np.float32)
    names = [f"{source.name}->{target.name}" for source, target in SHARED.edges]
    for edge in ("input->a0.h1<v>", "a0.h2->logits"):
        scores[names.index(edge)] = -1
    kept = scores != 0
    one = read(ExportedCircuit(SHARED, scores, {}, kept))
    assert [edge[:2] for edge in one.edges] == [("input", "a0.h2"), ("a0.h2", "logits")]
    scores[names.index("a0.h3->logits")] = -1
    two = read(ExportedCircuit(SHARED, scores, {}, scores != 0))
    assert {(source, target) for source, target, _ in two.edges} >= {
        ("input", "a0.h2"),
        ("input", "a0.h3"),
    }


def test_an_empty_circuit_is_a_graph_of_the_logits(tmp_path: Path) -> None:
    scores = np.ones(len(PLAIN.edges), dtype=np.float32)
    graph = read(ExportedCircuit(PLAIN, scores, {}, np.zeros(len(scores), dtype=bool)))
    assert list(graph.nodes) == ["logits"]


def reference_edges(n_layers: int, n_heads: int, parallel: bool) -> set[str]:
    """The names of all edges as the EAP-IG library builds its graph from a configuration."""
    stream, edges = ["input"], set()
    for layer in range(n_layers):
        heads = [f"a{layer}.h{head}" for head in range(n_heads)]
        edges |= {f"{node}->{head}<{port}>" for node in stream for head in heads for port in "qkv"}
        before_mlp = stream if parallel else [*stream, *heads]
        edges |= {f"{node}->m{layer}" for node in before_mlp}
        stream = [*stream, *heads, f"m{layer}"]
    return edges | {f"{node}->logits" for node in stream}


@pytest.mark.parametrize(
    "shape",
    [PLAIN, SHARED, GraphShape(2, 2, 2, parallel=True)],
    ids=["plain", "shared", "parallel"],
)
def test_importances_have_every_node_and_edge_of_the_reference_graph(
    tmp_path: Path, shape: GraphShape
) -> None:
    circuit, _ = made(tmp_path, shape)
    document = json.loads(importances(circuit, 16))
    assert document["cfg"] == {
        "n_layers": shape.n_layers,
        "n_heads": shape.n_heads,
        "parallel_attn_mlp": shape.parallel,
        "d_model": 16,
    }
    expected = reference_edges(shape.n_layers, shape.n_heads, shape.parallel)
    assert set(document["edges"]) == expected
    nodes = {end.split("<")[0] for edge in expected for end in edge.split("->")}
    assert set(document["nodes"]) == nodes
    inside = {
        end.split("<")[0]
        for edge, data in document["edges"].items()
        if data["in_graph"]
        for end in edge.split("->")
    }
    assert {name for name, data in document["nodes"].items() if data["in_graph"]} == inside
    assert 2 < len(inside) < len(nodes) or shape is SHARED


def test_importances_are_positive_for_edges_that_help(tmp_path: Path) -> None:
    circuit, _ = made(tmp_path, PLAIN)
    document = json.loads(importances(circuit, 16))["edges"]
    for (source, target), score, kept in zip(
        PLAIN.edges, circuit.scores, circuit.kept, strict=True
    ):
        found = document[f"{source.name}->{target.name}"]
        assert found["score"] == pytest.approx(-score)
        assert found["in_graph"] is bool(kept)
    assert (circuit.scores < 0).any() and circuit.kept.any()


def test_the_score_of_a_shared_key_is_divided_among_its_heads(tmp_path: Path) -> None:
    circuit, _ = made(tmp_path, SHARED)
    document = json.loads(importances(circuit, 16))["edges"]
    total = sum(data["score"] for data in document.values())
    assert total == pytest.approx(-circuit.scores.sum(), rel=1e-4)
    names = [f"{source.name}->{target.name}" for source, target in SHARED.edges]
    whole = circuit.scores[names.index("input->a0.h1<k>")]
    for head in ("a0.h2", "a0.h3"):
        assert document[f"input->{head}<k>"]["score"] == pytest.approx(-whole / 2)


def test_the_width_is_read_from_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    for name in ("hidden_size", "n_embd"):
        config.write_text(json.dumps({name: 48}))
        assert width(config) == 48
    config.write_text("{}")
    with pytest.raises(UserError, match=r"config.json: hidden_size: the model's width is missing"):
        width(config)
    with pytest.raises(UserError, match="not a readable configuration"):
        width(tmp_path / "none.json")
