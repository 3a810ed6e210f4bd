"""Random generators that have names: the same seed and names give the same numbers everywhere."""

from hashlib import blake2b

import numpy as np


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on the seed and the names alone, not on what was drawn before."""
    keys = [int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) for name in names]
    return np.random.default_rng(np.random.SeedSequence([seed, *keys]))
