"""The strongest edges, pruned to what leads from the input to the logits."""

import numpy as np
import pyarrow as pa
import pytest
from circuits.edge_tables import circuit_rows

from timelapse.circuits.graph import GraphShape, edge_numbers, shape_of
from timelapse.circuits.selection import choose, prune

SHAPE = GraphShape(n_layers=3, n_heads=2, n_kv_heads=2)
SHAPES = [
    SHAPE,
    GraphShape(n_layers=2, n_heads=4, n_kv_heads=2),
    GraphShape(n_layers=2, n_heads=3, n_kv_heads=1, parallel=True),
]
Names = list[tuple[str, str]]


def table(*edges: tuple[str, str, float]) -> pa.Table:
    sources, targets, scores = zip(*edges, strict=True)
    return pa.table({"source": sources, "target": targets, "score": scores})


def array(shape: GraphShape, scores: dict[tuple[str, str], float]) -> np.ndarray:
    """Scores of all edges; 0 where none is given."""
    return np.array([scores.get(edge, 0.0) for edge in names_of(shape)])


def names_of(shape: GraphShape) -> Names:
    return [(source.name, target.name) for source, target in shape.edges]


def chosen(mask: np.ndarray, shape: GraphShape) -> set[tuple[str, str]]:
    return {edge for edge, kept in zip(names_of(shape), mask, strict=True) if kept}


def circuit(edges: pa.Table, n: int, shape: GraphShape = SHAPE) -> Names:
    """The edges of the circuit of size `n`, the strongest first."""
    return [(row["source"], row["target"]) for row in circuit_rows(edges, n, shape)]


def test_edges_come_strongest_first_whatever_their_sign() -> None:
    edges = table(("input", "logits", 0.1), ("input", "m0", -3.0), ("m0", "logits", 2.0))
    assert circuit(edges, 3) == [
        ("input", "m0"),
        ("m0", "logits"),
        ("input", "logits"),
    ]


def test_pruning_goes_on_until_nothing_changes() -> None:
    """Each node of the chain loses its way out only when the node after it has gone."""
    path = [("input", "a0.h0<v>", 1.0), ("a0.h0", "logits", 1.0)]
    dead_end = [("input", "m0", -9.0), ("m0", "a1.h0<q>", -8.0), ("a1.h0", "m2", 7.0)]
    no_start = [("a0.h1", "m1", 6.0), ("m1", "a2.h1<k>", 5.0), ("a2.h1", "logits", 4.0)]
    kept = circuit(table(*dead_end, *no_start, *path), 8)
    assert set(kept) == {edge[:2] for edge in path}


def test_a_way_that_needs_an_edge_that_was_not_chosen_is_no_way() -> None:
    edges = table(("input", "m0", 5.0), ("m0", "logits", 0.1), ("input", "logits", 1.0))
    assert circuit(edges, 2) == [("input", "logits")]


def test_a_head_passes_on_what_enters_any_of_its_ports() -> None:
    edges = table(("input", "a0.h1<k>", 1.0), ("a0.h1", "logits", -1.0), ("a0.h0", "logits", 2.0))
    assert set(circuit(edges, 3)) == {("input", "a0.h1<k>"), ("a0.h1", "logits")}


def test_shared_values_reach_every_head_that_reads_them_and_no_other() -> None:
    shape = GraphShape(n_layers=1, n_heads=4, n_kv_heads=2)
    edges = table(
        ("input", "a0.h1<v>", 4.0),
        ("a0.h1", "logits", 3.0),
        ("a0.h2", "logits", 2.0),
        ("a0.h3", "logits", 1.0),
    )
    kept = {source for source, _ in circuit(edges, 4, shape)}
    assert kept == {"input", "a0.h2", "a0.h3"}


def test_no_path_leaves_an_empty_circuit() -> None:
    assert circuit(table(("input", "m0", 1.0), ("m1", "logits", 1.0)), 2) == []


def test_ties_go_to_the_name_that_sorts_first_in_any_order_of_rows() -> None:
    edges = table(("input", "logits", 2.0), *((f"m{i}", "logits", 1.0) for i in range(3)))
    edges = pa.concat_tables([edges, table(*(("input", f"m{i}", -1.5) for i in range(3)))])
    for order in ([0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 1, 5, 0, 2, 6, 4]):
        kept = circuit(edges.take(order), 5)
        assert ("m0", "logits") in kept and len(kept) == 3


def test_scores_that_are_not_finite_are_never_chosen() -> None:
    edges = table(("input", "logits", 0.5), ("input", "m0", np.nan), ("m0", "logits", -np.inf))
    assert circuit(edges, 3) == [("input", "logits")]


def test_every_kept_edge_lies_on_a_path_in_random_graphs() -> None:
    """Checked against a search for paths, edge by edge."""
    random = np.random.default_rng(5)
    all_edges = [(source.name, target.name) for source, target in SHAPE.edges]
    kept_some = 0
    for _ in range(40):
        scores = random.standard_normal(len(all_edges))
        edges = table(*((*edge, score) for edge, score in zip(all_edges, scores, strict=True)))
        top = sorted(zip(-np.abs(scores), all_edges, strict=True))[:12]
        expected = _on_a_path([edge for _, edge in top])
        assert set(circuit(edges, 12)) == expected
        kept_some += 0 < len(expected) < 12
    assert kept_some > 10


def _on_a_path(edges: list[tuple[str, str]]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    waiting = [[edge] for edge in edges if edge[0] == "input"]
    while waiting:
        path = waiting.pop()
        at = path[-1][1].split("<")[0]
        if at == "logits":
            found.update(path)
        waiting += [[*path, edge] for edge in edges if edge[0] == at]
    return found


def test_a_circuit_of_no_edges_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one edge"):
        choose(np.ones(len(SHAPE.edges)), SHAPE, 0)


@pytest.mark.parametrize("shape", [GraphShape(3, 4, 4), GraphShape(2, 6, 2), GraphShape(1, 1, 1)])
def test_the_names_of_all_edges_tell_the_shape(shape: GraphShape) -> None:
    assert shape_of({node.name for edge in shape.edges for node in edge}) == shape


@pytest.mark.parametrize("name", ["a1", "a1.h2<z>", "mlp3", "", "input "])
def test_a_name_that_is_no_node_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a node"):
        shape_of(["input", name])


def test_an_edge_that_is_not_in_the_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="m1 -> m0 is not an edge"):
        edge_numbers(table(("input", "logits", 1.0), ("m1", "m0", 1.0)), SHAPE)


@pytest.mark.parametrize("shape", SHAPES, ids=["plain", "shared keys", "parallel"])
def test_pruning_is_taking_dead_ends_away_until_nothing_changes(shape: GraphShape) -> None:
    """Against the definition, node by node; and the result is a fixpoint."""
    random = np.random.default_rng(2)
    rounds = []
    for share in np.repeat([0.1, 0.2, 0.35], 20):
        kept = random.random(len(shape.edges)) < share
        expected, needed = _pruned_slowly(kept, shape)
        assert np.array_equal(prune(kept, shape), expected)
        assert np.array_equal(prune(expected, shape), expected)
        rounds.append(needed if expected.any() else 0)
    assert max(rounds) >= 2 and sum(n > 0 for n in rounds) > 20


def _pruned_slowly(kept: np.ndarray, shape: GraphShape) -> tuple[np.ndarray, int]:
    """The edges left, and in how many rounds some were taken away."""
    kept, rounds = kept.copy(), 0
    while True:
        edges = [edge for edge, stays in zip(shape.edges, kept, strict=True) if stays]
        way_in = {shape.sources[0]} | {
            reader for _, target in edges for reader in shape.readers(target)
        }
        way_out = {source for source, _ in edges}
        still = np.array(
            [
                stays
                and source in way_in
                and (target.kind == "logits" or not way_out.isdisjoint(shape.readers(target)))
                for (source, target), stays in zip(shape.edges, kept, strict=True)
            ]
        )
        if still.sum() == kept.sum():
            return kept, rounds
        kept, rounds = still, rounds + 1


@pytest.mark.parametrize("how", ["absolute", "signed"])
@pytest.mark.parametrize("shape", SHAPES, ids=["plain", "shared keys", "parallel"])
def test_many_circuits_at_once_are_those_one_by_one(shape: GraphShape, how: str) -> None:
    scores = np.random.default_rng(3).standard_normal((2, 3, len(shape.edges)))
    scores[0, 1] = scores[0, 1].round(0)  # with ties
    together = choose(scores, shape, 20, how)
    assert 0 < together.sum() < 6 * 20
    for first, second in np.ndindex(2, 3):
        alone = choose(scores[first, second], shape, 20, how)
        assert np.array_equal(together[first, second], alone)


def test_signed_circuits_take_the_most_helpful_edges() -> None:
    scores = {
        ("input", "logits"): 9.0,
        ("input", "m0"): -2.0,
        ("m0", "logits"): -1.0,
        ("input", "m1"): -0.5,
        ("m1", "logits"): 0.0,
    }
    edges = array(SHAPE, scores)
    helpful = {("input", "m0"), ("m0", "logits")}
    assert chosen(choose(edges, SHAPE, 3, "signed"), SHAPE) == helpful
    assert chosen(choose(edges, SHAPE, 3, "absolute"), SHAPE) == helpful | {("input", "logits")}


@pytest.mark.parametrize("how", ["absolute", "signed"])
def test_all_edges_are_a_circuit_unless_their_score_is_not_finite(how: str) -> None:
    scores = np.random.default_rng(5).standard_normal(len(SHAPE.edges))
    assert choose(scores, SHAPE, 10_000, how).all()
    scores[names_of(SHAPE).index(("input", "logits"))] = np.nan
    assert choose(scores, SHAPE, 10_000, how).sum() == len(scores) - 1


def test_a_tie_of_arrays_goes_to_the_name_that_sorts_first() -> None:
    scores = array(SHAPE, {("input", "logits"): 2.0, ("input", "m0"): 1.0, ("m0", "logits"): 1.0})
    scores += array(SHAPE, {("input", "m1"): -1.0, ("m1", "logits"): 1.0})
    expected = {("input", "logits"), ("input", "m0"), ("m0", "logits")}
    assert chosen(choose(scores, SHAPE, 4), SHAPE) == expected
