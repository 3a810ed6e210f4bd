"""The share of the clean logit difference that a patch restores, and how sure it is."""

import numpy as np
from jaxtyping import Float

Cells = Float[np.ndarray, "cell"]


def shares(
    effects: Float[np.ndarray, "cell prompt"], gaps: Float[np.ndarray, "prompt"]
) -> tuple[Cells, Cells]:
    """Mean effect over mean gap, and its standard error over prompts.

    A ratio of means, not a mean of ratios: a prompt whose corruption hardly changes the logit
    difference would otherwise outweigh all others. The error is the delta method's: that of the
    mean of effect - share * gap, over the mean gap (Cochran, Sampling Techniques, 1977, 6.4).

    Args:
        effects: patched less corrupted logit difference; nan where a prompt has no such cell,
            which leaves the prompt out of that cell's means.
        gaps: clean less corrupted logit difference.

    Returns:
        The shares and their standard errors, which are nan below two prompts.
    """
    there = ~np.isnan(effects)
    n = there.sum(1)
    gap = np.where(there, gaps, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nansum(effects, 1) / gap.sum(1)
        rest = np.where(there, effects - share[:, None] * gaps, 0.0)
        variance = np.where(n > 1, (rest**2).sum(1) / (n - 1), np.nan)
        return share, np.sqrt(variance / n) / np.abs(gap.sum(1) / n)
