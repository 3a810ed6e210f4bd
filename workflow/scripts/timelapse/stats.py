"""How certain a number is: bootstrap intervals over prompts, Wilson intervals, split halves.

Free of torch. There is one convention for all tables. Prompts are resampled, and a quantity that is
computed from prompts is computed for every resample as well: arrays hold the value of the sample
itself in row 0 of their first axis, `sample`, and those of its resamples in the rows after it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Z95 = 1.959963984540054
"""Standard errors on either side of a normal mean that hold 95 %."""

LEVEL = 0.95
"""The level of every interval."""

RESAMPLES = 1000
"""Resamples of a bootstrap where no setting says how many."""


class Interval(NamedTuple):
    """A quantity with its 95 % interval; arrays of one shape."""

    value: Float[np.ndarray, "*rest"]
    low: Float[np.ndarray, "*rest"]
    high: Float[np.ndarray, "*rest"]


def wilson_interval(wins: int, n: int) -> tuple[float, float]:
    """The Wilson score interval of a proportion at 95 % (Wilson 1927, JASA 22, equation 7).

    Args:
        wins: how many of the trials were won.
        n: how many trials there were, at least 1.

    Returns:
        The lower and the upper end, as shares.
    """
    share, weight = wins / n, Z95**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = Z95 * (share * (1 - share) / n + weight / (4 * n)) ** 0.5 / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


def resampling_weights(
    n_examples: int, n_resamples: int, random: np.random.Generator
) -> Float[np.ndarray, "sample example"]:
    """The weight of every prompt in the sample itself, row 0, and in each of its resamples.

    A resample draws as many prompts as there are, with replacement. `weights @ values` is the mean
    of `values` in every sample.

    Args:
        n_examples: how many prompts there are.
        n_resamples: how many resamples to draw.
        random: draws them.

    Returns:
        float64, `n_resamples + 1` rows, each of which sums to 1.
    """
    counts = random.multinomial(n_examples, np.full(n_examples, 1 / n_examples), n_resamples)
    return np.concatenate([np.ones((1, n_examples)), counts]) / n_examples


def bootstrap_interval(
    samples: Float[np.ndarray, " sample *rest"], bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """The 95 % interval of quantities that were computed in every resample of the prompts.

    It is the percentile interval (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993,
    chapter 13), moved so that the resamples' median lies at the value. Means and ratios of means
    are moved by next to nothing. But quantities that noise makes larger (absolute differences) or
    smaller (overlaps of circuits that are chosen anew) are biased in the resamples, which have the
    sample's noise and their own, so that percentiles as they are may leave out the value itself;
    see section 14.3 there for corrections by the median. The interval says within which limits the
    value would vary with other prompts, as many, and not what endless prompts would give.
    Split-half nulls have the same kind of noise and can be compared with it.

    Args:
        samples: of the sample itself, row 0, and of every resample; NaN where it is not defined.
        bounds: what the quantities cannot exceed.

    Returns:
        The value, row 0, and the ends; these are NaN where the value is, or where no resample has
        one. Resamples without a value are left out.
    """
    value, resampled = samples[0], samples[1:]
    known = np.isfinite(resampled).any(0) & np.isfinite(value)
    resampled = np.where(known, resampled, 0.0)
    quantile = np.quantile if np.isfinite(resampled).all() else np.nanquantile
    shares = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
    low, middle, high = quantile(resampled, shares, axis=0)
    ends = np.clip([value + low - middle, value + high - middle], *bounds)
    return Interval(value, *np.where(known, ends, np.nan))


def half_weights(
    n_examples: int, n_splits: int, random: np.random.Generator
) -> Float[np.ndarray, "split half example"]:
    """The weight of every prompt in both halves of random splits; of an odd number one is left out.

    Args:
        n_examples: how many prompts there are.
        n_splits: how many splits to draw.
        random: draws them.

    Returns:
        float32; every half sums to 1. Without any split if there are fewer than two prompts.
    """
    half = n_examples // 2
    if not half:
        return np.zeros((0, 2, n_examples), dtype=np.float32)
    order = random.permuted(np.tile(np.arange(n_examples), (n_splits, 1)), axis=1)
    weights = np.zeros((n_splits, 2, n_examples), dtype=np.float32)
    for number in range(2):
        chosen = order[:, number * half : (number + 1) * half]
        np.put_along_axis(weights[:, number], chosen, 1 / half, 1)
    return weights
