"""The roles that a head can have, and the score from which on it has one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """A role; the module that measures its score defines it.

    Attributes:
        name: as it stands in tables.
        threshold: the least score of a head that holds the role.
        unit: of score and threshold.
    """

    name: str
    threshold: float
    unit: str = "attention"


PREVIOUS_TOKEN = Role("previous_token", 0.3)
DUPLICATE_TOKEN = Role("duplicate_token", 0.3)
INDUCTION = Role("induction", 0.3)
NAME_MOVER = Role("name_mover", 0.3)
NEGATIVE_MOVER = Role("negative_mover", 0.3)
S_INHIBITION = Role("s_inhibition", 0.5, "attention logits")

ROLES = (PREVIOUS_TOKEN, DUPLICATE_TOKEN, INDUCTION, NAME_MOVER, NEGATIVE_MOVER, S_INHIBITION)
