"""How alike a checkpoint is to itself."""

from pathlib import Path

import numpy as np
import pytest
from circuits.comparison.handmade import FOUR_HEADS, path, row, samples_of

from timelapse.circuits.comparison.measures import OVERLAPS, split_half_nulls
from timelapse.stats import half_weights

STRONG = row(FOUR_HEADS, {**path("a0.h0", "a1.h1", score=-3.0), **path("a1.h2", score=2.0)})
N_KEPT = 5
RANDOM = np.random.default_rng(0)


def test_one_prompt_has_no_halves() -> None:
    weights = half_weights(1, 20, RANDOM)
    nulls = split_half_nulls(STRONG[None], weights, FOUR_HEADS, N_KEPT)
    assert nulls.keys() >= OVERLAPS.keys()
    assert all(np.isnan(value) for value in nulls.values())


def test_halves_of_prompts_without_noise_are_the_same(tmp_path: Path) -> None:
    samples = samples_of(tmp_path, {0: STRONG}, noise=0).pooled(0)
    nulls = split_half_nulls(samples, half_weights(60, 10, RANDOM), FOUR_HEADS, N_KEPT)
    assert nulls["edge_jaccard"] == nulls["node_jaccard"] == 1
    assert nulls["weight_share"] == pytest.approx(1, abs=2e-7)  # a sum in float32
    assert nulls["edge_flips"] == 0
    assert nulls["layer_change:a0"] == pytest.approx(0, abs=1e-5)
    assert nulls["weight_share_chance"] == pytest.approx(5 / len(STRONG))


def test_more_noise_makes_halves_less_alike(tmp_path: Path) -> None:
    found = []
    for noise in (5.0, 15.0, 60.0):
        samples = samples_of(tmp_path, {0: STRONG}, noise).pooled(0)
        weights = half_weights(60, 30, np.random.default_rng(1))
        found.append(split_half_nulls(samples, weights, FOUR_HEADS, 10))
    for name in ("edge_jaccard", "weight_share", "score_cosine"):
        quiet, noisy, noisiest = (nulls[name] for nulls in found)
        assert 1 > quiet > noisy > noisiest
    assert found[0]["layer_change:a1"] < found[2]["layer_change:a1"]


def test_the_null_is_what_pairs_of_small_samples_give(tmp_path: Path) -> None:
    """Two independent samples of half the size, drawn anew many times, overlap as halves do."""
    samples = samples_of(tmp_path, {0: STRONG}, 5.0, n_prompts=3000).pooled(0)
    nulls = [
        split_half_nulls(samples[start : start + 60], half_weights(60, 10, RANDOM), FOUR_HEADS, 20)[
            "score_cosine"
        ]
        for start in range(0, 3000, 60)
    ]
    means = samples.reshape(100, 30, -1).mean(1)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    independent = (unit[::2] * unit[1::2]).sum(1)
    error = independent.std() / np.sqrt(len(independent))
    assert np.mean(nulls) == pytest.approx(independent.mean(), abs=3 * error)
