"""What the methods that score edges can be told: every setting of all, with its default."""

from dataclasses import dataclass
from typing import Literal

Ablation = Literal["resample", "mean", "zero"]


@dataclass(frozen=True)
class Settings:
    """Settings of the methods; each takes those that concern it.

    Attributes:
        batch: prompts run at a time. It bounds the memory.
        ig_steps: points at which EAP-IG takes the gradient.
        ablation: what an ablated source writes: what it writes for the corrupted prompt, its mean
            over the corrupted prompts, or nothing.
        keep: share of the clean logit difference that iterative node ablation must keep.
        threshold: share of the clean less corrupted logit difference that ACDC lets an edge cost.
        positions: whether the scores are also split by labelled position.
    """

    batch: int = 100
    ig_steps: int = 5
    ablation: Ablation = "resample"
    keep: float = 0.8
    threshold: float = 0.01
    positions: bool = False
