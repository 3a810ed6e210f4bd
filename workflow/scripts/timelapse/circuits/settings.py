"""The settings of the methods that score edges, all with defaults."""

from dataclasses import dataclass
from typing import Literal

AblationKind = Literal["resample", "mean", "zero"]


@dataclass(frozen=True)
class MethodSettings:
    """Settings of the methods; each reads those that its entry in `methods` names.

    Attributes:
        batch: prompts run at a time. It bounds the memory.
        ig_steps: points at which EAP-IG takes the gradient.
        ablation: what an ablated source writes: what it writes for the corrupted prompt, its mean
            over the corrupted prompts, or nothing.
        keep: share of the clean metric that iterative node ablation must keep.
        threshold: share of the clean minus corrupted metric that ACDC lets an edge cost.
        positions: whether the scores are also split by labelled position.
    """

    batch: int = 100
    ig_steps: int = 5
    ablation: AblationKind = "resample"
    keep: float = 0.8
    threshold: float = 0.01
    positions: bool = False
