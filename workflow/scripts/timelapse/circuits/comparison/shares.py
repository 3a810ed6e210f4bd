"""What share of a circuit's weight lies on the edges of another circuit."""

import numpy as np

from timelapse.circuits.comparison.compared import Circuits, Counts, products, ratio


def weight_share(a: Circuits, b: Circuits) -> Counts:
    """The share of the summed |score| of circuit b's edges that lies on edges of circuit a."""
    weight = np.where(b.kept, np.abs(b.scores), 0)
    return ratio(products(a.indicator, weight), weight.sum(-1)[..., None, :])


def weight_share_same_sign(a: Circuits, b: Circuits) -> Counts:
    """The part of `weight_share` on edges that help in both circuits, or in neither."""
    weight = np.where(b.kept, np.abs(b.scores), 0)
    same = products(a.indicator, weight) + products(a.signed, np.copysign(weight, b.scores))
    return ratio(same / 2, weight.sum(-1)[..., None, :])


def weight_share_chance(a: Circuits, b: Circuits) -> Counts:
    """The share expected if circuit a were as many edges drawn at random from all."""
    share = a.size[..., :, None] / a.kept.shape[-1]
    return np.broadcast_to(share, (*a.size.shape, b.kept.shape[-2]))


def relative_share(share: np.ndarray, chance: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Where a share lies between chance, 0, and what halves of the same prompts share, 1.

    NaN where halves share no more than chance: then the circuit is not known well enough.
    """
    room = null - chance
    return ratio(share - chance, np.where(room > 0, room, 0))
