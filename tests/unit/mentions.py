"""Prompts that mention their answer and foils at labelled places."""

import numpy as np
import torch

from timelapse.models.prompts import Prompts


def mentioning_prompts(n: int, length: int, seed: int = 0) -> Prompts:
    """Different random words: the answer at place 1, foils at 2 and 3, one again later.

    Labels: `io`, `first`, `second`, `first.2`, `end`; of every second prompt the first two change
    places.
    """
    random = np.random.default_rng((seed, n, length))
    tokens = torch.from_numpy(np.stack([random.permutation(28)[:length] + 2 for _ in range(n)]))
    tokens[:, -2] = tokens[:, 2]
    answer, foils = tokens[:, 1].clone(), tokens[:, 2:4].clone()
    odd = torch.arange(n) % 2 == 1
    tokens[odd, 1], tokens[odd, 2] = foils[odd, 0], answer[odd]
    places = {"first.2": length - 2, "second": 3, "end": length - 1}
    positions = {label: torch.full((n,), at) for label, at in places.items()}
    return Prompts(
        rows=np.arange(n),
        tokens=tokens,
        answer=answer,
        foils=foils,
        corrupted={},
        positions={**positions, "io": 1 + odd.long(), "first": 2 - odd.long()},
    )
