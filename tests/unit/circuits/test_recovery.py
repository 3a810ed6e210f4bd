"""The recovered share: a ratio of means with an interval from a bootstrap over prompts."""

import numpy as np
import pytest

from timelapse.circuits.size_curve import Recovery
from timelapse.stats import bootstrap_interval


def recovery(clean: list[float], ablated: list[float]) -> Recovery:
    return Recovery(np.array(clean), np.array(ablated), np.random.default_rng(0))


def test_the_share_is_a_ratio_of_means_and_not_a_mean_of_ratios() -> None:
    found = recovery([3.0, 1.0], [1.0, 0.0]).of(np.array([[2.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found[0], [(1 + 1) / (2 + 1), (-1 + 0) / (2 + 1)])


def test_the_whole_model_is_1_and_the_ablated_one_0_in_every_sample() -> None:
    clean, ablated = np.random.default_rng(1).normal([[2.0], [0.0]], 1, (2, 30))
    found = recovery(list(clean), list(ablated)).of(np.stack([clean, ablated]))
    assert found.shape == (1001, 2)
    np.testing.assert_allclose(found, np.tile([1.0, 0.0], (1001, 1)), atol=1e-12)
    interval = bootstrap_interval(found)
    np.testing.assert_allclose([interval.low, interval.high], [[1, 0], [1, 0]], atol=1e-12)


def test_the_interval_is_that_of_prompts_drawn_one_by_one() -> None:
    random = np.random.default_rng(2)
    clean, ablated, circuit = random.normal([[3.0], [0.0], [2.0]], 1, (3, 40))
    found = bootstrap_interval(recovery(list(clean), list(ablated)).of(circuit))
    drawn = random.integers(0, 40, (20_000, 40))
    shares = (circuit - ablated)[drawn].mean(1) / (clean - ablated)[drawn].mean(1)
    low, high = np.quantile(shares, [0.025, 0.975])
    assert high - low > 0.1
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_shares_of_a_gap_that_may_be_none_are_not_defined() -> None:
    random = np.random.default_rng(3)
    noise = list(random.normal(0.0, 1.0, 40))
    assert not recovery(noise, [0.0] * 40).defined
    assert recovery([2 + value for value in noise], [0.0] * 40).defined
    assert recovery([value - 2 for value in noise], [0.0] * 40).defined
    assert not recovery([0.0] * 40, [0.0] * 40).defined


def test_a_share_of_nothing_is_not_a_number() -> None:
    assert np.isnan(recovery([1.0, 2.0], [2.0, 1.0]).of(np.array([5.0, 5.0]))[0])
