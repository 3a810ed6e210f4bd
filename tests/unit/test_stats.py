"""Intervals of proportions, bootstrap intervals over prompts, and halves of prompts."""

import numpy as np
import pytest

from timelapse.stats import (
    Z95,
    bootstrap_interval,
    half_weights,
    resampling_weights,
    wilson_interval,
)


def test_wilson_interval_is_the_published_one() -> None:
    """Newcombe 1998, Stat. Med. 17, table I: 81/263 -> 0.2553 to 0.3662; 0/20 -> 0 to 0.1611."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_a_resample_draws_as_many_prompts_with_replacement() -> None:
    weights = resampling_weights(10, 50, np.random.default_rng(0))
    assert weights.shape == (51, 10)
    assert weights[0] == pytest.approx(np.full(10, 0.1))
    assert weights.sum(1) == pytest.approx(np.ones(51))
    counts = weights[1:] * 10
    assert counts == pytest.approx(counts.round(), abs=1e-5)
    assert (counts.round() == 0).any() and (counts.round() > 1).any()


def test_the_interval_has_the_spread_of_the_resamples_about_the_value() -> None:
    """The resamples' median is 3, their percentiles 3 - 1.9 and 3 + 1.9; the value is 5."""
    resampled = np.linspace(1, 5, 401)
    found = bootstrap_interval(np.concatenate([[5.0], resampled]))
    assert tuple(found) == pytest.approx((5, 3.1, 6.9))


def test_an_interval_ends_where_the_quantity_does() -> None:
    values = np.concatenate([[0.9], np.linspace(0.5, 0.9, 11)])
    assert bootstrap_interval(values, (0.0, 1.0)).high == 1
    assert bootstrap_interval(values).high > 1


def test_what_has_no_value_has_no_interval() -> None:
    values = np.random.default_rng(0).random((30, 3))
    values[0, 0] = np.nan
    values[1:, 1] = np.nan
    values[4, 2] = np.nan
    found = np.stack(bootstrap_interval(values))
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[0, 1]) and np.isnan(found[1:, 1]).all()
    assert np.isfinite(found[:, 2]).all()


def test_a_resample_without_a_value_leaves_the_interval_of_the_others() -> None:
    found = bootstrap_interval(np.array([0.5, 0.0, np.nan, 1.0]))
    assert tuple(found) == pytest.approx((0.5, 0.025, 0.975))


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    random = np.random.default_rng(1)
    sample = random.standard_normal(400)
    value, low, high = bootstrap_interval(resampling_weights(400, 4000, random) @ sample)
    error = sample.std(ddof=1) / 20
    assert value == pytest.approx(sample.mean(), rel=1e-5)
    assert low == pytest.approx(value - Z95 * error, abs=0.1 * error)
    assert high == pytest.approx(value + Z95 * error, abs=0.1 * error)


@pytest.mark.parametrize("n_examples", [8, 9])
def test_halves_are_disjoint_and_equally_large(n_examples: int) -> None:
    weights = half_weights(n_examples, 20, np.random.default_rng(0))
    assert weights.shape == (20, 2, n_examples)
    assert ((weights > 0).sum(-1) == 4).all()
    assert not (weights > 0).all(1).any()
    assert weights.sum(-1) == pytest.approx(np.ones((20, 2)))
    assert len(np.unique(weights[:, 0], axis=0)) > 10


def test_one_prompt_has_no_halves() -> None:
    assert half_weights(1, 20, np.random.default_rng(0)).shape == (0, 2, 1)
