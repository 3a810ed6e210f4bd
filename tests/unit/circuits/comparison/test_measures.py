"""The share of one circuit's weight on the edges of another, worked out by hand."""

import numpy as np
import pytest
from circuits.comparison.handmade import ONE_HEAD, circuits

from timelapse.circuits.comparison.measures import (
    relative_share,
    weight_share,
    weight_share_chance,
    weight_share_same_sign,
)

A = circuits(ONE_HEAD, {"input->a0.h0<v>": 5.0, "a0.h0->logits": -1.0, "input->logits": 1.0})
B = circuits(
    ONE_HEAD,
    {"input->a0.h0<v>": -2.0, "a0.h0->logits": -3.0, "input->m0": 1.0, "m0->logits": 4.0},
)


def test_the_weights_are_those_of_the_second_circuit() -> None:
    assert weight_share(A, B).item() == pytest.approx((2 + 3) / 10)
    assert weight_share(B, A).item() == pytest.approx((5 + 1) / 7)


def test_an_edge_with_another_sign_carries_nothing_of_the_same_sign() -> None:
    assert weight_share_same_sign(A, B).item() == pytest.approx(3 / 10)
    assert weight_share_same_sign(B, A).item() == pytest.approx(1 / 7)


def test_the_scores_of_edges_that_were_not_kept_are_no_weight() -> None:
    kept = B.kept.copy()
    kept[..., -1] = False
    less = type(B)(ONE_HEAD, B.scores, kept)
    assert weight_share(A, less).item() == pytest.approx((2 + 3) / 6)


def test_a_random_circuit_holds_a_share_of_the_weight_as_of_the_edges() -> None:
    assert weight_share_chance(A, B).item() == pytest.approx(3 / 8)
    random = np.random.default_rng(0)
    drawn = random.permuted(np.tile(A.kept[0, 0], (20_000, 1)), axis=1)
    many = type(A)(ONE_HEAD, np.ones(drawn.shape, dtype=np.float32)[None], drawn[None])
    assert weight_share(many, B).mean() == pytest.approx(3 / 8, abs=0.01)


def test_a_circuit_holds_all_of_its_own_weight() -> None:
    assert weight_share(A, A).item() == weight_share_same_sign(A, A).item() == 1


def test_an_empty_circuit_has_no_weight_to_share() -> None:
    empty = circuits(ONE_HEAD, {})
    assert np.isnan(weight_share(A, empty).item())
    assert weight_share(empty, A).item() == 0


def test_a_relative_share_lies_between_chance_and_halves() -> None:
    shares = np.array([0.1, 0.5, 0.9])
    found = relative_share(shares, np.array(0.1), np.array(0.9))
    assert found == pytest.approx([0, 0.5, 1])


def test_there_is_no_relative_share_if_halves_share_no_more_than_chance() -> None:
    assert np.isnan(relative_share(np.array(0.3), np.array(0.2), np.array(0.2)))
    assert np.isnan(relative_share(np.array(0.3), np.array(0.2), np.array(0.1)))
