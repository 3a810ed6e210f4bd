"""Resamples of prompts and the intervals that they give."""

import numpy as np
import pytest

from timelapse.circuits.comparison.bootstrap import (
    Resampled,
    interval,
    resampling_weights,
    slices,
)


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
    value, low, high = interval(np.concatenate([[5.0], resampled]))
    assert (value, low, high) == pytest.approx((5, 3.1, 6.9))


def test_an_interval_ends_where_the_measure_does() -> None:
    values = np.concatenate([[0.9], np.linspace(0.5, 0.9, 11)])
    assert interval(values, (0, 1))[2] == 1
    assert interval(values)[2] > 1


def test_what_has_no_value_has_no_interval() -> None:
    values = np.random.default_rng(0).random((30, 3))
    values[0, 0] = np.nan
    values[1:, 1] = np.nan
    values[4, 2] = np.nan
    found = interval(values)
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[0, 1]) and np.isnan(found[1:, 1]).all()
    assert np.isfinite(found[:, 2]).all()


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    random = np.random.default_rng(1)
    sample = random.standard_normal(400)
    means = resampling_weights(400, 4000, random) @ sample
    value, low, high = interval(means)
    error = sample.std(ddof=1) / 20
    assert value == pytest.approx(sample.mean(), rel=1e-5)
    assert low == pytest.approx(value - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(value + 1.96 * error, abs=0.1 * error)


def test_kept_scores_come_back_by_resample() -> None:
    scores = np.random.default_rng(2).random((3, 5, 4)).astype(np.float32)
    kept = Resampled(3, 5, 4)
    for step in (2, 0, 1):
        kept.put(step, scores[step])
    assert np.array_equal(kept.part(1, 4), scores[:, 1:4].swapaxes(0, 1))


def test_slices_cover_everything_once_within_the_limit() -> None:
    assert list(slices(10, 3, 12)) == [(0, 4), (4, 8), (8, 10)]
    assert list(slices(3, 100, 12)) == [(0, 1), (1, 2), (2, 3)]
