"""Overlap of two circuits, worked out by hand."""

import numpy as np
import pytest
from circuits.comparison.handmade import ONE_HEAD, circuits

from timelapse.circuits.comparison import overlap
from timelapse.circuits.comparison.circuit_sets import Circuits
from timelapse.circuits.comparison.overlap import chance_jaccard
from timelapse.circuits.graph import GraphShape

A = {"input->a0.h0<v>": -2.0, "a0.h0->logits": -1.0, "input->logits": 0.5}
B = {
    "input->a0.h0<v>": -3.0,
    "a0.h0->logits": 4.0,
    "input->m0": 1.0,
    "m0->logits": 1.0,
}
OVERLAPS = [
    overlap.edge_jaccard,
    overlap.edge_jaccard_corrected,
    overlap.signed_edge_jaccard,
    overlap.signed_edge_jaccard_corrected,
    overlap.node_jaccard,
    overlap.score_spearman,
    overlap.score_cosine,
]


def of_two(measure, a=A, b=B) -> float:  # type: ignore[no-untyped-def]
    found = measure(circuits(ONE_HEAD, a), circuits(ONE_HEAD, b))
    assert found.shape == (1, 1, 1)
    return found.item()


def test_shared_edges_over_all_edges() -> None:
    """Two shared; five in all."""
    assert of_two(overlap.edge_jaccard) == pytest.approx(2 / 5)


def test_an_edge_with_another_sign_is_another_edge() -> None:
    """The value edge alone has the same sign; the head's output edge counts twice: six in all."""
    assert of_two(overlap.signed_edge_jaccard) == pytest.approx(1 / 6)


def test_shared_nodes_over_all_nodes_without_input_and_logits() -> None:
    """The head in both, the MLP in one."""
    assert of_two(overlap.node_jaccard) == pytest.approx(1 / 2)


def test_spearman_is_the_correlation_of_ranks_with_ties_shared() -> None:
    """Eight edges, in order q k v m0 of the input, m0 of the head, logits of input, head, MLP.

    A: 0 0 -2 0 0 .5 -1 0 has ranks 4 4 0 4 4 7 1 4; B: 0 0 -3 1 0 0 4 1 has 2.5 2.5 0 5.5 2.5 2.5
    7 5.5. About their mean 3.5 the sum of products is 0.5, those of squares are 32 and 36.5.
    """
    expected = 0.5 / np.sqrt(32 * 36.5)
    assert of_two(overlap.score_spearman) == pytest.approx(expected, rel=1e-5)


def test_cosine_of_all_scores() -> None:
    """2 x 3 - 1 x 4 = 2 over the lengths."""
    assert of_two(overlap.score_cosine) == pytest.approx(2 / np.sqrt(5.25 * 27))


def test_corrected_overlap_is_measured_from_chance() -> None:
    """Of 8 edges: 3 of them, 2 that help; and 4, 1 that helps."""
    chance = chance_jaccard(*map(np.array, (3, 0, 4, 0)), 8)
    assert of_two(overlap.edge_jaccard_corrected) == pytest.approx((0.4 - chance) / (1 - chance))
    signed = chance_jaccard(*map(np.array, (2, 1, 1, 3)), 8)
    expected = (1 / 6 - signed) / (1 - signed)
    assert of_two(overlap.signed_edge_jaccard_corrected) == pytest.approx(expected)


@pytest.mark.parametrize("measure", OVERLAPS)
def test_a_circuit_overlaps_wholly_with_itself(measure) -> None:  # type: ignore[no-untyped-def]
    assert of_two(measure, A, A) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("measure", OVERLAPS)
def test_overlap_is_symmetric(measure) -> None:  # type: ignore[no-untyped-def]
    assert of_two(measure, A, B) == pytest.approx(of_two(measure, B, A))


@pytest.mark.parametrize("measure", OVERLAPS)
def test_many_circuits_at_once_are_those_one_by_one(measure) -> None:  # type: ignore[no-untyped-def]
    shape = GraphShape(n_layers=2, n_heads=4, n_kv_heads=2)
    random = np.random.default_rng(0)
    scores = random.standard_normal((5, 3, len(shape.edges))).astype(np.float32)
    scores[2] = scores[2].round()
    a, b = (Circuits.strongest(scores[:, part], shape, 45) for part in ([0, 1], [1, 2, 0]))
    together = measure(a, b)
    assert together.shape == (5, 2, 3)
    assert len(np.unique(together)) > 5
    for sample, before, after in np.ndindex(5, 2, 3):
        alone = [
            Circuits(shape, side.scores[sample, [place]], side.kept[sample, [place]])
            for side, place in ((a, before), (b, after))
        ]
        assert together[sample, before, after] == pytest.approx(measure(*alone).item(), abs=1e-6)


@pytest.mark.parametrize("measure", OVERLAPS[:5])
def test_the_overlap_of_two_empty_circuits_is_not_defined(measure) -> None:  # type: ignore[no-untyped-def]
    assert np.isnan(of_two(measure, {}, {}))


@pytest.mark.parametrize("measure", [overlap.edge_jaccard, overlap.node_jaccard])
def test_an_empty_circuit_shares_nothing(measure) -> None:  # type: ignore[no-untyped-def]
    assert of_two(measure, A, {}) == 0


def test_scores_that_are_all_equal_have_no_correlation() -> None:
    assert np.isnan(of_two(overlap.score_spearman, A, {}))
    assert np.isnan(of_two(overlap.score_cosine, A, {}))


def test_circuits_of_random_scores_overlap_about_as_chance_has_it() -> None:
    """The plain index is far from 0; what is left above it is that circuits are paths."""
    shape = GraphShape(n_layers=3, n_heads=4, n_kv_heads=4)
    scores = np.random.default_rng(1).standard_normal((300, 2, len(shape.edges)))
    found = Circuits.strongest(scores.astype(np.float32), shape, 140)
    plain = overlap.edge_jaccard(found, found)[:, 0, 1].mean()
    corrected = overlap.edge_jaccard_corrected(found, found)[:, 0, 1].mean()
    signed = overlap.signed_edge_jaccard_corrected(found, found)[:, 0, 1].mean()
    assert plain > 0.2
    assert abs(corrected) < 0.03
    assert abs(signed) < 0.03
