"""Means over prompts: what batches are given does not matter."""

import numpy as np
import torch

from timelapse.running_mean import RunningMean


def test_batches_give_the_mean_and_standard_error_of_the_whole() -> None:
    values = np.random.default_rng(0).normal([[5.0], [1e4]], [[1.0], [1e-3]], (2, 11))
    mean = RunningMean(2)
    for part in np.split(values, [1, 1, 6], axis=1):
        mean.add(torch.from_numpy(part))
    assert mean.count == 11
    np.testing.assert_allclose(mean.mean, values.mean(1), rtol=1e-12)
    np.testing.assert_allclose(mean.std_error, values.std(1, ddof=1) / np.sqrt(11), rtol=1e-6)


def test_too_few_prompts_have_no_standard_error() -> None:
    mean = RunningMean(1)
    assert mean.mean.isnan().all()
    assert mean.std_error.isnan().all()
    mean.add(torch.tensor([[2.0]]))
    assert mean.mean.item() == 2.0
    assert mean.std_error.isnan().all()
