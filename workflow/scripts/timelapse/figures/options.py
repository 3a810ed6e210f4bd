"""What a study can set of its figures: the models of the sections below the config's `figures`.

Free of matplotlib: the config reads this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from timelapse.files.validation import Name, StrictModel, validate


class FigureOptions(StrictModel):
    """Options of a figure that has none."""


class CircuitOptions(FigureOptions):
    """The graph of the strongest edges, in its film and in circuit_first_last and circuit_tasks."""

    edges: int = Field(30, ge=1, le=1_000_000_000)
    """Edges of every drawn circuit before pruning; a study draws comparison.edges if left out."""
    method: str | None = None
    """What scored the drawn edges; the study's method if left out."""
    corruption: Name | None = None
    """The corruption whose circuit is drawn, or `pooled` for the mean over all. If left out, each
    has a panel in the film, and the other pictures are pooled."""


class AttentionChangeOptions(FigureOptions):
    """The heads whose attention has changed most."""

    top: int = Field(7, ge=1, le=7)
    """Heads that are told apart by colour."""


class HeadRolesOptions(FigureOptions):
    """Which heads hold which role."""

    top: int = Field(8, ge=1, le=1000)
    """The most heads that are shown for a role."""


class HeadTrajectoriesOptions(FigureOptions):
    """What became of every head."""

    named: int = Field(10, ge=1, le=1000)
    """How many heads are named, those that ever score highest."""


SECTIONS: Mapping[str, type[FigureOptions]] = {
    "circuit": CircuitOptions,
    "attention_change": AttentionChangeOptions,
    "head_roles": HeadRolesOptions,
    "head_trajectories": HeadTrajectoriesOptions,
}
"""The keys below the config's `figures`, and what each may hold."""


def checked_options(
    model: type[FigureOptions], options: Mapping[str, Any], section: str
) -> dict[str, Any]:
    """All options of a figure, those that are not given at their defaults.

    Args:
        model: which options there are.
        options: those that are set.
        section: where in the config's `figures` they stand, for messages.

    Raises:
        UserError: there is no such option, or it cannot have this value.
    """
    return validate(model, dict(options), lambda path: f"config: figures.{section}").model_dump()


@dataclass(frozen=True)
class MetricWords:
    """A metric's name and unit, as they stand in figures.

    Attributes:
        name: in lower case, such as "logit difference".
        unit: of its values, such as "logits".
    """

    name: str
    unit: str

    def fill(self, value: Any) -> Any:
        """A text with `{metric}`, `{Metric}` and `{unit}` filled in; so in every text of a mapping.

        >>> MetricWords("logit difference", "logits").fill("{Metric} ({unit})")
        'Logit difference (logits)'
        """
        if isinstance(value, dict):
            return {key: self.fill(part) for key, part in value.items()}
        if not isinstance(value, str):
            return value
        capital = self.name[:1].upper() + self.name[1:]
        words = {"{metric}": self.name, "{Metric}": capital, "{unit}": self.unit}
        for placeholder, word in words.items():
            value = value.replace(placeholder, word)
        return value


LOGIT_DIFFERENCE = MetricWords("logit difference", "logits")
