"""Which checkpoints are compared with which."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

Pairs = Int[np.ndarray, "pair 2"]


def compared_steps(steps: Sequence[int], limit: int) -> tuple[int, ...]:
    """At most `limit` of the steps, evenly spread, with the first and the last.

    >>> compared_steps((0, 8, 16, 24, 32, 40), 3)
    (0, 16, 40)
    >>> compared_steps((0, 8), 12)
    (0, 8)
    """
    ordered = sorted(steps)
    if limit < 2 and len(ordered) > 1:
        raise ValueError(f"first and last step are always compared, so not at most {limit}")
    places = np.linspace(0, len(ordered) - 1, min(limit, len(ordered))).round().astype(int)
    return tuple(ordered[place] for place in places)


def pairs_within(n_steps: int) -> Pairs:
    """Of one task: every step with itself and with all later ones."""
    return np.stack(np.triu_indices(n_steps), axis=1)


def pairs_across(n_steps: int) -> Pairs:
    """Of two tasks: every step with itself, and the first step with every later one."""
    own = [(place, place) for place in range(n_steps)]
    return np.array([*own, *((0, place) for place in range(1, n_steps))])


def pairs_from_first(n_steps: int) -> Pairs:
    """Of a control, which has the first step alone: that with every step."""
    return np.array([(0, place) for place in range(n_steps)])
