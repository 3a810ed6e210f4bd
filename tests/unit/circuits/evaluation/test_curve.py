"""Curves over sizes: where to look closer, and which size suffices."""

import numpy as np
import pytest

from timelapse.circuits.size_curve import Curve, first_reaching


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
