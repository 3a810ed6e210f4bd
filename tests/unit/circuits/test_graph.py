"""The graph: what nodes and edges are called, and who feeds whom."""

from collections.abc import Iterable

import pytest

from timelapse.circuits.graph import GraphShape, Source, Target

TWO_LAYERS = GraphShape(n_layers=2, n_heads=2, n_kv_heads=2)


def names(nodes: Iterable[Source | Target]) -> str:
    return " ".join(node.name for node in nodes)


def test_sources_are_listed_in_the_order_in_which_they_write() -> None:
    assert names(TWO_LAYERS.sources) == "input a0.h0 a0.h1 m0 a1.h0 a1.h1 m1"


def test_targets_are_listed_in_the_order_in_which_they_read() -> None:
    assert names(GraphShape(1, 2, 2).targets) == (
        "a0.h0<q> a0.h1<q> a0.h0<k> a0.h1<k> a0.h0<v> a0.h1<v> m0 logits"
    )


@pytest.mark.parametrize(
    ("target", "feeding"),
    [
        (Target("q", 0, 1), "input"),
        (Target("mlp", 0), "input a0.h0 a0.h1"),
        (Target("v", 1, 0), "input a0.h0 a0.h1 m0"),
        (Target("mlp", 1), "input a0.h0 a0.h1 m0 a1.h0 a1.h1"),
        (Target("logits"), "input a0.h0 a0.h1 m0 a1.h0 a1.h1 m1"),
    ],
)
def test_a_target_is_fed_by_all_that_is_written_before_it_reads(
    target: Target, feeding: str
) -> None:
    assert names(TWO_LAYERS.upstream(target)) == feeding


def test_the_mlp_of_a_parallel_block_does_not_read_the_heads_beside_it() -> None:
    shape = GraphShape(2, 2, 2, parallel=True)
    assert names(shape.upstream(Target("mlp", 1))) == "input a0.h0 a0.h1 m0"


def test_shared_key_value_heads_are_one_target_with_several_readers() -> None:
    shape = GraphShape(n_layers=1, n_heads=4, n_kv_heads=2)
    keys = (target for target in shape.targets if target.kind == "k")
    assert names(keys) == "a0.h0<k> a0.h1<k>"
    assert names(shape.readers(Target("k", 0, 1))) == "a0.h2 a0.h3"
    assert names(shape.readers(Target("q", 0, 1))) == "a0.h1"
    assert names(shape.readers(Target("mlp", 0))) == "m0"
    assert shape.readers(Target("logits")) == ()


def test_gpt2_small_has_its_well_known_number_of_edges() -> None:
    """32,491 in Syed, Rager & Conmy (2023) and Hanna, Pezzelle & Belinkov (2024)."""
    assert len(GraphShape(n_layers=12, n_heads=12, n_kv_heads=12).edges) == 32491


def test_no_edge_is_listed_twice() -> None:
    edges = [(source.name, target.name) for source, target in TWO_LAYERS.edges]
    assert len(set(edges)) == len(edges)
