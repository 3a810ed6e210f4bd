"""Corruptions: named rewrites of a prompt that take its answer away."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timelapse.errors import UserError
from timelapse.files.violations import advice
from timelapse.tasks.templates import Layout


@dataclass(frozen=True)
class Corruption:
    """A named rewrite.

    Attributes:
        rewrite: per mention label the role whose word stands there instead.
        answer: the role that answers the corrupted prompt; None if no single one does.
    """

    name: str
    rewrite: Mapping[str, str]
    answer: str | None


def corruptions(
    document: Mapping[str, Any], templates: tuple[tuple[Layout, ...], ...], source: Path
) -> tuple[Corruption, ...]:
    """The corruptions of a spec.

    Raises:
        UserError: an unknown label or role, a rewrite that changes nothing, an unchanged answer.
    """
    every_layout = [layout for template in templates for layout in template]
    roles, result = document["roles"], []
    for name, entry in document["corruptions"].items():
        key = f"corruptions.{name}"
        corruption = Corruption(name, entry["rewrite"], entry["answer"])
        _check_rewrite(corruption, every_layout, roles, source)
        if corruption.answer is not None and corruption.answer not in roles:
            problem = f"there is no role {corruption.answer!r}"
            raise UserError(source, f"{key}.answer", problem, advice(corruption.answer, roles))
        if corruption.answer == document["answer"]:
            raise UserError(
                source,
                f"{key}.answer",
                f"the corrupted prompt keeps the clean answer {corruption.answer!r}",
                "Name the role that answers the corrupted prompt, or null if no single one does",
            )
        result.append(corruption)
    return tuple(result)


def _check_rewrite(
    corruption: Corruption, every_layout: list[Layout], roles: Mapping[str, Any], source: Path
) -> None:
    key = f"corruptions.{corruption.name}.rewrite"
    standing: dict[str, set[str]] = {}
    for mention in (mention for layout in every_layout for mention in layout.mentions):
        standing.setdefault(mention.label, set()).add(mention.role)
    for label, role in corruption.rewrite.items():
        if label not in standing:
            problem = f"no template has a mention {label!r}"
            raise UserError(source, f"{key}.{label}", problem, advice(label, standing))
        if role not in roles:
            problem = f"there is no role {role!r}"
            raise UserError(source, f"{key}.{label}", problem, advice(role, roles))
        if role in standing[label]:
            problem = f"the word of {role!r} stands there already, so nothing would change"
            raise UserError(source, f"{key}.{label}", problem, "Name another role")
    for layout in every_layout:
        if layout.rewritten(corruption.rewrite) == layout:
            problem = f"the prompts of the template {layout.template!r} would not change"
            labels = [mention.label for mention in layout.mentions]
            remedy = f"Rewrite one of its mentions: {', '.join(labels)}"
            raise UserError(source, key, problem, remedy)
