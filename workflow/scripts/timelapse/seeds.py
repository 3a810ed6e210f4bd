"""Random numbers: one named generator per purpose, all from the study's seed."""

import hashlib

import numpy as np


def derived_seed(seed: int, *purpose: str) -> int:
    """A 32-bit seed of its own for a purpose, e.g. `derived_seed(0, "finetune", "order")`."""
    name = "\0".join((str(seed), *purpose)).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=4).digest(), "little")


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """The generator of a purpose; other purposes do not disturb its sequence."""
    return np.random.default_rng(derived_seed(seed, *purpose))
