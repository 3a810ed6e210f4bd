"""The rows of the patching table, and which token or head of each prompt they are about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from timelapse.probes.patching.cells import HEAD_SITES, POSITION_SITES
from timelapse.probes.patching.places import Place


@dataclass(frozen=True)
class Row:
    """A site of a layer, in one head or at one place."""

    site: str
    layer: int
    head: int | None = None
    place: Place | None = None

    def indices(self, bucket: int, part: slice, n: int) -> Int[np.ndarray, "batch"] | None:
        """`Cell.at` for each of the `n` prompts in a part of a bucket; None if they lack it."""
        if self.place is None:
            return np.full(n, self.head)
        index = self.place.index[bucket]
        return None if index is None else index[part]


def all_rows(n_layers: int, n_heads: int, n_kv_heads: int, places: Sequence[Place]) -> list[Row]:
    """All rows in their order: by site, layer, then place or head."""
    layers = range(n_layers)
    return [
        *(
            Row(site, layer, place=place)
            for site in POSITION_SITES
            for layer in layers
            for place in places
        ),
        *(
            Row(site, layer, head=head)
            for site in HEAD_SITES
            for layer in layers
            for head in range(n_kv_heads if site in ("k", "v") else n_heads)
        ),
    ]
