"""What a schema cannot check in a task. Each check raises a UserError that says how to mend it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from timelapse.errors import UserError
from timelapse.files.violations import advice
from timelapse.tasks.roles import Block
from timelapse.tasks.templates import END, Layout


def check_fillers(fillers: Mapping[str, Sequence[str]], source: Path) -> None:
    """No word stands in two lists: words of different roles must differ."""
    home: dict[str, str] = {}
    for name, words in fillers.items():
        for place, word in enumerate(words):
            if word in home:
                problem = f"the word {word!r} stands in fillers.{home[word]} too"
                remedy = "Keep it in one of the two lists"
                raise UserError(source, f"fillers.{name}[{place}]", problem, remedy)
        home |= dict.fromkeys(words, name)


def check_role_names(roles: Mapping[str, Any], source: Path) -> None:
    """`end` is the label of every prompt's last word."""
    if END in roles:
        problem = f"{END!r} is the label of the prompt's last word"
        raise UserError(source, f"roles.{END}", problem, "Give the role another name")


def check_orders(
    orders: Mapping[str, Sequence[str]], roles: Mapping[str, Any], source: Path
) -> None:
    """Groups have names of their own and hold known roles."""
    for group, members in orders.items():
        if group in roles:
            problem = f"{group!r} is a role as well"
            raise UserError(source, f"orders.{group}", problem, "Rename the group or the role")
        for place, role in enumerate(members):
            if role not in roles:
                problem = f"there is no role {role!r}"
                raise UserError(source, f"orders.{group}[{place}]", problem, advice(role, roles))


def check_answer(
    document: Mapping[str, Any],
    templates: Sequence[Sequence[Layout]],
    blocks: Sequence[Block],
    source: Path,
) -> None:
    """A prompt determines its answer: it mentions the answer, or a role that leads to it."""
    answer, roles = document["answer"], document["roles"]
    if answer not in roles:
        raise UserError(source, "answer", f"there is no role {answer!r}", advice(answer, roles))
    kin = next(set(block.roles) for block in blocks if answer in block.roles)
    for layout in (layout for template in templates for layout in template):
        if document["unmentioned_answer"] and answer in layout.roles:
            raise UserError(
                source,
                "unmentioned_answer",
                f"the template {layout.template!r} mentions the answer {answer!r}",
                "Remove this key, or take the answer out of the template",
            )
        if not document["unmentioned_answer"] and kin.isdisjoint(layout.roles):
            raise UserError(
                source,
                "answer",
                f"the template {layout.template!r} does not mention the answer {answer!r}",
                "Mention it, or set unmentioned_answer: true if any unmentioned word will do",
            )


def check_foils(foils: Sequence[str], answer: str, roles: Mapping[str, Any], source: Path) -> None:
    """Foils are roles other than the answer."""
    for place, foil in enumerate(foils):
        if foil not in roles:
            problem = f"there is no role {foil!r}"
            raise UserError(source, f"foils[{place}]", problem, advice(foil, roles))
        if foil == answer:
            problem = f"the foil {foil!r} is the answer"
            raise UserError(source, f"foils[{place}]", problem, "Name roles with wrong answers")


def check_everything_is_used(
    document: Mapping[str, Any],
    templates: Sequence[Sequence[Layout]],
    blocks: Sequence[Block],
    source: Path,
) -> None:
    """Every role and group has a purpose: an idle one is a forgotten or misspelt one."""
    for group, members in document["orders"].items():
        if not any(f"{{{group}.1}}" in text for text in document["templates"].values()):
            remedy = f"Use {{{group}.1}} ... {{{group}.{len(members)}}} in a template, or remove it"
            raise UserError(source, f"orders.{group}", "no template uses this group", remedy)
    used = {document["answer"], *document["foils"]}
    used |= {role for template in templates for layout in template for role in layout.roles}
    for entry in document["corruptions"].values():
        used |= {*entry["rewrite"].values(), entry["answer"]}
    for block in blocks:
        if used.isdisjoint(block.roles):
            problem = "nothing uses this role"
            remedy = "Mention it in a template, a corruption or the foils, or remove it"
            raise UserError(source, f"roles.{block.roles[0]}", problem, remedy)
