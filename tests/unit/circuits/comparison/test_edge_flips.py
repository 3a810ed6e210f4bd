"""Edges in one circuit and not in the other, worked out by hand."""

import numpy as np
import pytest
from circuits.comparison.handmade import ONE_HEAD, circuits

from timelapse.circuits.comparison.circuit_sets import Circuits
from timelapse.circuits.comparison.overlap import (
    edge_flips,
    edge_flips_changed_node,
    edge_flips_same_nodes,
)
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.selection import prune

SPLIT = edge_flips, edge_flips_changed_node, edge_flips_same_nodes


def counts(a: Circuits, b: Circuits) -> list[float]:
    return [measure(a, b).item() for measure in SPLIT]


def test_flips_are_split_by_whether_a_node_comes_or_goes() -> None:
    """The direct edge joins nodes of both; the MLP and with it its two edges are new."""
    a = circuits(ONE_HEAD, {"input->a0.h0<v>": 1.0, "a0.h0->logits": 1.0, "input->logits": 1.0})
    b = circuits(
        ONE_HEAD,
        {"input->a0.h0<v>": 1.0, "a0.h0->logits": 1.0, "input->m0": 1.0, "m0->logits": 1.0},
    )
    assert counts(a, b) == [3, 2, 1]
    assert counts(b, a) == [3, 2, 1]


def test_a_circuit_flips_nothing_against_itself() -> None:
    a = circuits(ONE_HEAD, {"input->a0.h0<v>": 1.0, "a0.h0->logits": 1.0})
    assert a.size.item() == 2
    assert counts(a, a) == [0, 0, 0]


def test_a_shared_key_is_in_a_circuit_with_any_of_its_heads() -> None:
    """Both circuits have a head of the pair, so that the edge into its key joins nodes of both."""
    shape = GraphShape(n_layers=1, n_heads=2, n_kv_heads=1)
    a = circuits(shape, {"input->a0.h0<v>": 1.0, "a0.h0->logits": 1.0})
    b = circuits(shape, {"input->a0.h0<v>": 1.0, "input->a0.h0<k>": 1.0, "a0.h1->logits": 1.0})
    assert counts(a, b) == [3, 2, 1]


def test_many_flips_are_split_as_their_definition_says() -> None:
    shape = GraphShape(n_layers=3, n_heads=3, n_kv_heads=3)
    random = np.random.default_rng(0)
    kept = prune(random.random((20, 2, len(shape.edges))) < 0.12, shape)
    a, b = (Circuits(shape, np.ones(kept[:, [side]].shape), kept[:, [side]]) for side in (0, 1))
    found = np.stack([measure(a, b)[:, 0, 0] for measure in SPLIT], axis=1)
    for number, (one, other) in enumerate(kept):
        sides = [
            [edge for edge, stays in zip(shape.edges, mask, strict=True) if stays]
            for mask in (one, other)
        ]
        nodes = [{node.name.split("<")[0] for edge in edges for node in edge} for edges in sides]
        flips = set(sides[0]) ^ set(sides[1])
        changed = {
            (source, target)
            for source, target in flips
            if {source.name, target.name.split("<")[0]} & (nodes[0] ^ nodes[1])
        }
        expected = [len(flips), len(changed), len(flips - changed)]
        assert found[number] == pytest.approx(expected)
    assert (found > 0).all(axis=1).any()
