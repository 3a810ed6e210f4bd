"""Curves over sizes of circuits, which size suffices, widths of edges and areas over sizes."""

import numpy as np
import pytest

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.size_curve import (
    FRACTIONS,
    Curve,
    area,
    first_reaching,
    sizes_at,
    widths,
)


def curve(sizes: list[int], shares: list[float], *resamples: list[float]) -> Curve:
    """Circuits of the first edges of 20."""
    circuits = np.arange(20) < np.array(sizes)[:, None]
    return Curve(sizes, circuits, np.array([shares, *resamples]))


def test_the_first_size_that_reaches_a_threshold_is_found_in_curves_that_fall_again() -> None:
    shares = np.array([[0.1, 0.8, 0.7, 0.9], [0.0, 0.1, 0.2, 0.3], [0.9, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(first_reaching(shares, 0.8), [1, -1, 0])
    np.testing.assert_array_equal(first_reaching(np.array([np.nan, 0.9]), 0.8), 1)


def test_sizes_between_are_geometric_and_below_the_first_that_suffices() -> None:
    found = curve([1, 10, 1000, 2000], [0.0, 0.4, 0.9, 1.0])
    between = found.between([0.8])
    assert len(between) == 8
    steps = np.diff(np.log([10, *between, 1000]))
    np.testing.assert_allclose(steps, np.log(100) / 9, rtol=0.05)
    assert found.between([0.3, 0.4]) == [2, 3, 4, 5, 6, 8]
    assert found.between([0.95]) == [round(1000 * 2 ** (k / 9)) for k in range(1, 9)]
    assert found.between([1.1]) == []
    assert curve([1, 2], [0.9, 1.0]).between([0.8]) == []
    assert curve([1, 1, 2], [0.0, 0.0, 1.0]).between([0.8]) == []


def test_joined_curves_are_in_the_order_of_their_sizes() -> None:
    joined = curve([1, 8], [0.1, 0.9]).joined(curve([3, 5], [0.2, 0.8]))
    assert list(joined.sizes) == [1, 3, 5, 8]
    np.testing.assert_array_equal(joined.circuits.sum(1), [1, 3, 5, 8])
    np.testing.assert_array_equal(joined.shares, [[0.1, 0.2, 0.8, 0.9]])


def test_the_smallest_size_varies_with_the_sample() -> None:
    samples = [[0.9, 0.9, 1.0], [0.3, 0.8, 1.0], [0.2, 0.7, 1.0]]
    found = curve([2, 4, 8], samples[1], *samples)
    sizes = found.smallest(0.8, np.ones(20))
    assert sizes.value == 4
    low, high = np.quantile([2, 4, 8], [0.025, 0.975])
    assert (sizes.low, sizes.high) == pytest.approx((low, high))
    assert found.smallest(0.8, np.full(20, 0.25)).value == pytest.approx(1)
    assert np.isnan(found.smallest(1.2, np.ones(20)).value)


def test_a_fraction_of_the_edges_is_at_least_one() -> None:
    assert sizes_at(FRACTIONS, 479) == [1, 1, 2, 5, 10, 24, 48, 96, 240, 479]
    assert sizes_at(FRACTIONS, 32491)[:3] == [32, 65, 162]


def test_an_edge_is_as_wide_as_its_narrower_end() -> None:
    shape = GraphShape(n_layers=2, n_heads=2, n_kv_heads=1)
    width = {
        (source.name, target.name): width
        for (source, target), width in zip(shape.edges, widths(shape, 16, 4), strict=True)
    }
    assert width["input", "m0"] == width["m0", "logits"] == width["input", "logits"] == 1
    assert width["input", "a0.h1<q>"] == width["m0", "a1.h0<v>"] == 0.25
    assert width["a0.h0", "m1"] == width["a0.h0", "logits"] == width["a0.h1", "a1.h0<k>"] == 0.25
    assert set(width.values()) == {1, 0.25}


def test_areas_are_trapezoids_over_the_fractions() -> None:
    assert area([0.1, 0.5, 1.0], np.array([0.0, 1.0, 3.0])) == pytest.approx(0.2 + 1.0)
    rising = np.array([np.ones(10), FRACTIONS])
    np.testing.assert_allclose(area(FRACTIONS, rising), [0.999, (1 - 0.001**2) / 2])
