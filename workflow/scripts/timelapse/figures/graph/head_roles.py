"""Which roles the heads hold at each step, for pictures that colour them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle

import pyarrow as pa
import pyarrow.compute as pc

from timelapse.figures import style


@dataclass(frozen=True)
class HeadRoleLabels:
    """Roles by step and head.

    Attributes:
        colors: of every role that a head holds at some step, in the order of the table.
        by_step: for each step and head the roles that it holds, the strongest first, with their
            scores. Roles are measured in different units, so each counts as its share of the
            largest score that any head has in it at any step.
    """

    colors: Mapping[str, str] = field(default_factory=dict)
    by_step: Mapping[int, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pa.Table | None) -> "HeadRoleLabels":
        """Read a head_roles table; without one, no head holds a role."""
        if table is None:
            return cls()
        order = [str(name) for name in pc.unique(table["role"]).to_pylist()]
        rows = table.filter(pc.fill_null(table["holds"], False)).to_pylist()
        largest: dict[str, float] = {}
        for row in rows:
            largest[row["role"]] = max(largest.get(row["role"], 0.0), row["score"])
        by_step: dict[int, dict[str, dict[str, float]]] = {}
        for row in sorted(rows, key=lambda row: -row["score"] / (largest[row["role"]] or 1.0)):
            head = f"a{row['layer']}.h{row['head']}"
            of_head = by_step.setdefault(row["step"], {}).setdefault(head, {})
            of_head[row["role"]] = row["score"]
        colors = zip(order, cycle(style.ROLES), strict=False)
        return cls({name: color for name, color in colors if name in largest}, by_step)

    def at(self, step: int) -> Mapping[str, Mapping[str, float]]:
        """The roles of every head that holds one at a step, the strongest first."""
        return self.by_step.get(step, {})

    def colors_of(self, active: Iterable[tuple[int, Iterable[str]]]) -> dict[str, str]:
        """The colours of those roles that are the strongest of some active head.

        Args:
            active: steps, each with the names of the nodes that are active there.
        """
        seen = {self.strongest(step).get(name) for step, names in active for name in names}
        return {role: color for role, color in self.colors.items() if role in seen}

    def strongest(self, step: int) -> dict[str, str]:
        """The strongest role of every head that holds one at a step."""
        return {head: next(iter(roles)) for head, roles in self.at(step).items()}


def role_words(role: str) -> str:
    """`previous_token` as it stands in a legend: previous token."""
    return role.replace("_", " ")


def short_role_words(role: str) -> str:
    """`previous_token` as it stands in a narrow box: previous."""
    return role_words(role.removesuffix("_token")).replace("negative", "neg.")
