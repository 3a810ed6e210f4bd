"""Mean scores of resamples, kept on disk and taken back some resamples at a time."""

import numpy as np

from timelapse.circuits.comparison.circuit_sets import ResampledScores, slices


def test_kept_scores_come_back_by_resample() -> None:
    scores = np.random.default_rng(2).random((3, 5, 4)).astype(np.float32)
    kept = ResampledScores(3, 5, 4)
    for step in (2, 0, 1):
        kept.put(step, scores[step])
    assert np.array_equal(kept.part(1, 4), scores[:, 1:4].swapaxes(0, 1))


def test_slices_cover_everything_once_within_the_limit() -> None:
    assert list(slices(10, 3, 12)) == [(0, 4), (4, 8), (8, 10)]
    assert list(slices(3, 100, 12)) == [(0, 1), (1, 2), (2, 3)]
