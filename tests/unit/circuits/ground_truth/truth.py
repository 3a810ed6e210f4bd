"""What is known about a model whose weights were written by hand."""

from collections.abc import Callable
from dataclasses import dataclass

from transformers import PreTrainedModel

from timelapse.models.prompts import Prompts

CORRUPTION = "other"

Edge = tuple[str, str]


@dataclass(frozen=True)
class Truth:
    """A model, prompts of several lengths, and the circuit behind their logit difference.

    An edge is true if corrupting it alone changes the logit difference. Corrupting all the others
    together changes nothing.

    Attributes:
        model: builds the model.
        prompts: buckets with the one corruption `CORRUPTION`.
        edges: the true edges, by the names of their ends.
        idle: heads and MLPs that write nothing.
    """

    model: Callable[[], PreTrainedModel]
    prompts: list[Prompts]
    edges: frozenset[Edge]
    idle: frozenset[str]

    @property
    def nodes(self) -> frozenset[str]:
        """The sources of true edges."""
        return frozenset(source for source, _ in self.edges)
