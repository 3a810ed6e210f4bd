"""What a study can set of its figures: the models of the sections below the config's `figures`.

Free of matplotlib: the config reads this.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from timelapse.errors import UserError

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=40)]


class FigureOptions(BaseModel):
    """Options of a figure that has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CircuitOptions(FigureOptions):
    """The graph of the strongest edges, in its film and in circuit_first_last and circuit_tasks.

    Attributes:
        edges: edges of every drawn circuit before pruning.
        method: what scored the drawn edges; the first method in the table if None.
        corruption: the corruption whose circuit is drawn, or `pooled` for the mean over all. If
            None, each has a panel in the film, and the other pictures are pooled.
    """

    edges: int = Field(30, ge=1, le=1_000_000_000)
    method: str | None = None
    corruption: Name | None = None


class AttentionChangeOptions(FigureOptions):
    """The heads whose attention has changed most.

    Attributes:
        top: heads that are told apart by colour.
    """

    top: int = Field(7, ge=1, le=7)


class HeadRolesOptions(FigureOptions):
    """Which heads hold which role.

    Attributes:
        top: the most heads that are shown for a role.
    """

    top: int = Field(8, ge=1, le=1000)


class HeadTrajectoriesOptions(FigureOptions):
    """What became of every head.

    Attributes:
        named: how many heads are named, those that ever score highest.
    """

    named: int = Field(10, ge=1, le=1000)


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
    try:
        return model.model_validate(dict(options)).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            problem = "this figure has no such option"
            remedy = f"Its options are: {', '.join(model.model_fields) or 'none'}"
        else:
            problem = f"{first['input']!r} cannot be used: {first['msg'].lower()}"
            remedy = "Give another value"
        raise UserError("config", f"figures.{section}.{name}", problem, remedy) from error
