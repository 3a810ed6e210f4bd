"""Resampling prompts: mean scores of every resample, and intervals from what they give."""

from collections.abc import Iterator
from tempfile import TemporaryFile

import numpy as np
from jaxtyping import Float

Samples = Float[np.ndarray, "resample *rest"]


def resampling_weights(
    n_examples: int, n_resamples: int, random: np.random.Generator
) -> Float[np.ndarray, "resample example"]:
    """The weight of every prompt in the sample itself, first, and in each of its resamples."""
    counts = random.multinomial(n_examples, np.full(n_examples, 1 / n_examples), n_resamples)
    return np.concatenate([np.ones((1, n_examples)), counts]).astype(np.float32) / n_examples


def interval(values: Samples, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Samples:
    """Value, lower and upper end of the 95 % interval of quantities.

    The interval holds the percentiles of the resamples, moved so that their median lies at the
    value. Resampling adds noise on top of the sample's own, which makes circuits overlap less, so
    that percentiles as they are may leave out the value itself. The interval says within which
    limits the value would vary with other prompts, as many, and not what endless prompts would
    give: of equal circuits that would be an overlap of 1. Null values come with the same kind of
    noise, and can be compared with it. See Efron & Tibshirani, "An Introduction to the Bootstrap"
    (1993), section 14.3, for corrections by the median.

    Args:
        values: of the sample itself, first, and of every resample; NaN where it is not defined.
        bounds: what the quantities cannot exceed.

    Returns:
        [3, *rest]; the ends are NaN where the value is, or where no resample has one.
    """
    value, resampled = values[0], values[1:]
    known = np.isfinite(resampled).any(0) & np.isfinite(value)
    resampled = np.where(known, resampled, 0.0)
    quantile = np.quantile if np.isfinite(resampled).all() else np.nanquantile
    low, middle, high = quantile(resampled, (0.025, 0.5, 0.975), axis=0)
    ends = np.clip([value + low - middle, value + high - middle], *bounds)
    return np.stack([value, *np.where(known, ends, np.nan)])


class Resampled:
    """Mean scores of the resamples at several steps, kept on disk: they exceed the memory.

    A graph of 30,000 edges has 25 MB of them a step.
    """

    def __init__(self, n_steps: int, n_resamples: int, n_edges: int) -> None:
        self.shape = (n_steps, n_resamples, n_edges)
        self._file = TemporaryFile()  # noqa: SIM115 - it lives as long as the object
        self._scores = np.memmap(self._file, np.float32, "w+", shape=self.shape)

    def put(self, place: int, scores: Float[np.ndarray, "resample edge"]) -> None:
        """Keep those of one step."""
        self._scores[place] = scores

    def part(self, start: int, stop: int) -> Float[np.ndarray, "resample step edge"]:
        """Those of some resamples at all steps."""
        return np.ascontiguousarray(np.swapaxes(self._scores[:, start:stop], 0, 1))


def slices(n: int, bytes_each: int, limit: int) -> Iterator[tuple[int, int]]:
    """Cut `n` resamples into parts that need at most `limit` bytes, but at least one each."""
    step = max(1, limit // bytes_each)
    for start in range(0, n, step):
        yield start, min(start + step, n)
