"""Dropping with guesses: the plain loop's result, in fewer measurements."""

import numpy as np
import pytest
import torch
from jaxtyping import Bool
from torch import Tensor

from timelapse.circuits.search.greedy_removal import MeasuredCircuit, PartRemover

N_EDGES = 40


class Tally:
    """Measures circuits by a random function in which pairs of edges matter; counts them."""

    def __init__(self, at_once: int, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.at_once, self.calls, self.circuits, self.largest = at_once, 0, 0, 0
        self._pairs = torch.from_numpy(random.normal(size=(N_EDGES, N_EDGES)))
        self._pairs *= torch.from_numpy(random.random((N_EDGES, N_EDGES)) < 0.1)

    def __call__(self, kept: Bool[Tensor, "circuit edge"]) -> list[float]:
        self.calls += 1
        self.circuits += len(kept)
        self.largest = max(self.largest, len(kept))
        chosen = kept.double()
        return torch.einsum("ca,ab,cb->c", chosen, self._pairs, chosen).tolist()


def small(before: float, after: float) -> bool:
    return abs(after - before) < 1.0


def plain(measure: Tally, parts: Bool[Tensor, "part edge"]) -> Bool[Tensor, " edge"]:
    kept = torch.ones(N_EDGES, dtype=torch.bool)
    (value,) = measure(kept[None])
    for part in parts:
        (without,) = measure((kept & ~part)[None])
        if small(value, without):
            kept, value = kept & ~part, without
    return kept


@pytest.mark.parametrize("at_once", [1, 2, 5, 100])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_is_what_the_plain_loop_leaves(at_once: int, seed: int) -> None:
    parts = torch.eye(N_EDGES, dtype=torch.bool)
    parts[3, 20:24] = True
    expected = plain(Tally(1, seed), parts)
    assert 0 < expected.sum() < N_EDGES
    measure = Tally(at_once, seed)
    begin = MeasuredCircuit(torch.ones(N_EDGES, dtype=torch.bool), *measure(parts.any(0)[None]))
    left = PartRemover(measure, measure.at_once).in_turn(begin, parts, small)
    assert torch.equal(left.kept, expected)
    assert left.value == measure(left.kept[None])[0]
    assert measure.largest <= at_once


def test_parts_that_all_go_take_one_measurement_for_as_many_as_fit() -> None:
    measure = Tally(at_once=8)
    begin = MeasuredCircuit(torch.ones(N_EDGES, dtype=torch.bool), 0.0)
    parts = torch.eye(N_EDGES, dtype=torch.bool)
    left = PartRemover(measure, measure.at_once).in_turn(begin, parts, lambda before, after: True)
    assert not left.kept.any()
    assert measure.calls == N_EDGES // 8


def test_where_all_parts_stay_hardly_anything_is_measured_in_vain() -> None:
    measure = Tally(at_once=8)
    begin = MeasuredCircuit(torch.ones(N_EDGES, dtype=torch.bool), 0.0)
    parts = torch.eye(N_EDGES, dtype=torch.bool)
    left = PartRemover(measure, measure.at_once).in_turn(begin, parts, lambda before, after: False)
    assert left.kept.all()
    assert measure.calls == N_EDGES
    assert measure.circuits == N_EDGES + 7
