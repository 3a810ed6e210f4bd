"""What is patched: one cell is one activation of one layer, at one position or of one head."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from timelapse.models import hooks

POSITION_SITES = ("resid_pre", "attn_out", "mlp_out")
"""Sites that are patched at one position."""

HEAD_SITES = ("z", "q", "k", "v", "pattern")
"""Sites that are patched in one head at all positions; k and v in one key/value head."""

HOOKS: Mapping[str, Callable[[int], str]] = {
    "resid_pre": hooks.resid_pre,
    "attn_out": hooks.attn_out,
    "mlp_out": hooks.mlp_out,
    "z": hooks.z,
    "q": hooks.query,
    "k": hooks.key,
    "v": hooks.value,
    "pattern": hooks.pattern,
}


@dataclass(frozen=True, order=True)
class Cell:
    """One place to patch.

    Attributes:
        site: a name of `HOOKS`.
        layer: the layer it lies in.
        at: the token's index for `POSITION_SITES`, the head's number for `HEAD_SITES`.
    """

    site: str
    layer: int
    at: int
