"""Overlap that is expected by chance."""

from math import comb

import numpy as np
import pytest

from timelapse.circuits.comparison.overlap import chance_jaccard


def hypergeometric_mean(size_a: int, size_b: int, n_edges: int) -> float:
    """The Jaccard index expected of two random sets, summed over all numbers of shared edges."""
    total = 0.0
    for shared in range(max(0, size_a + size_b - n_edges), min(size_a, size_b) + 1):
        ways = comb(size_a, shared) * comb(n_edges - size_a, size_b - shared)
        total += ways / comb(n_edges, size_b) * shared / (size_a + size_b - shared)
    return total


def chance(*counts: int) -> float:
    *sizes, n_edges = counts
    return float(chance_jaccard(*map(np.array, sizes), n_edges))


@pytest.mark.parametrize(
    ("size_a", "size_b", "n_edges"), [(20, 20, 479), (150, 40, 479), (400, 300, 479), (9, 14, 60)]
)
def test_chance_is_the_mean_over_all_random_sets(size_a: int, size_b: int, n_edges: int) -> None:
    expected = hypergeometric_mean(size_a, size_b, n_edges)
    assert chance(size_a, 0, size_b, 0, n_edges) == pytest.approx(expected, abs=1e-3)
    assert expected > 0.01


def test_two_sets_of_all_edges_overlap_wholly() -> None:
    assert chance(30, 0, 30, 0, 30) == 1


def test_chance_with_signs_is_the_mean_over_random_sets_with_signs() -> None:
    random = np.random.default_rng(0)
    n_edges, counts = 60, (12, 8, 6, 15)
    signs = [
        np.repeat([-1, 1, 0], [help_, hinder, n_edges - help_ - hinder])
        for help_, hinder in (counts[:2], counts[2:])
    ]
    a = random.permuted(np.tile(signs[0], (40_000, 1)), axis=1)
    shared = ((a == signs[1]) & (a != 0)).sum(1)
    found = shared / (sum(counts) - shared)
    error = found.std() / np.sqrt(len(found))
    assert chance(*counts, n_edges) == pytest.approx(found.mean(), abs=4 * error + 2e-4)
    assert chance(20, 0, 21, 0, n_edges) > 1.5 * found.mean()


def test_without_a_second_sign_signs_change_nothing() -> None:
    assert chance(0, 9, 0, 7, 50) == pytest.approx(chance(9, 0, 7, 0, 50))
