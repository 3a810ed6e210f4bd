"""Templates: the text of a prompt with named places, and the layouts that they stand for."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, permutations, product
from math import factorial, prod
from pathlib import Path

from timelapse.errors import UserError
from timelapse.files.messages import advice
from timelapse.tasks.document import Mistake

_PLACE = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)(?:\.([1-9][0-9]?))?\}")
_MARK = "\0"
_ORDERS = 1000


@dataclass(frozen=True)
class Mention:
    """One place in a prompt: its label and the role whose word stands there."""

    label: str
    role: str


@dataclass(frozen=True)
class Layout:
    """A template in which every place has its role: `literals[0] mentions[0] literals[1] ...`."""

    template: str
    literals: tuple[str, ...]
    mentions: tuple[Mention, ...]

    @cached_property
    def roles(self) -> frozenset[str]:
        """The roles that the prompt mentions."""
        return frozenset(mention.role for mention in self.mentions)

    @cached_property
    def chunks(self) -> tuple[tuple[str, str | None, str], ...]:
        """What white space separates: the text before a role, the role if any, the text after."""
        roles = iter(self.mentions)
        parts = [chunk.partition(_MARK) for chunk in _MARK.join(self.literals).split()]
        return tuple(
            (before, next(roles).role if mark else None, after) for before, mark, after in parts
        )

    def rewritten(self, rewrite: Mapping[str, str]) -> "Layout":
        """The layout with other roles at some labels; labels that it lacks are passed over."""
        mentions = (replace(m, role=rewrite.get(m.label, m.role)) for m in self.mentions)
        return replace(self, mentions=tuple(mentions))


@dataclass(frozen=True)
class Corruption:
    """A named rewrite of a prompt that takes its answer away.

    Attributes:
        rewrite: per mention label the role whose word stands there instead.
        answer: the role that answers the corrupted prompt; None if no single one does.
    """

    name: str
    rewrite: Mapping[str, str]
    answer: str | None

    def mistakes(self, every_layout: Sequence[Layout]) -> Iterator[Mistake]:
        """What does not fit the layouts that it rewrites: labels that none has, idle rewrites."""
        key = f"corruptions.{self.name}.rewrite"
        roles_at: dict[str, set[str]] = {}
        for mention in (mention for layout in every_layout for mention in layout.mentions):
            roles_at.setdefault(mention.label, set()).add(mention.role)
        bad = False
        for label, role in self.rewrite.items():
            if label not in roles_at:
                problem, remedy = f"no template has a mention {label!r}", advice(label, roles_at)
            elif role in roles_at[label]:
                problem = f"the word of {role!r} stands there already, so nothing would change"
                remedy = "Name another role"
            else:
                continue
            bad = True
            yield f"{key}.{label}", problem, remedy
        unchanged = {x.template: x for x in every_layout if x.rewritten(self.rewrite) == x}
        for layout in unchanged.values() if not bad else ():
            problem = f"the prompts of the template {layout.template!r} would not change"
            labels = ", ".join(mention.label for mention in layout.mentions)
            yield key, problem, f"Rewrite one of its mentions: {labels}"


def layouts(
    name: str,
    text: str,
    roles: Mapping[str, object],
    orders: Mapping[str, tuple[str, ...]],
    source: Path,
) -> tuple[Layout, ...]:
    """Every layout of a template: one for each order of the role groups that it uses.

    Raises:
        UserError: braces, spaces or places that cannot be meant.
    """
    literals, places = _parsed(name, text, source)
    for role, slot in places:
        if misfit := _misfit(role, slot, roles, orders):
            raise UserError(source, f"templates.{name}", *misfit)
    used = [group for group in orders if any(role == group for role, _ in places)]
    for group in used:
        slots = {int(slot) for role, slot in places if role == group}
        missing = sorted(set(range(1, len(orders[group]) + 1)) - slots)
        if missing:
            problem = f"the place {{{group}.{missing[0]}}} is missing"
            raise UserError(
                source, f"templates.{name}", problem, f"Mention every place of the group {group!r}"
            )
    n_orders = prod(factorial(len(orders[group])) for group in used)
    if n_orders > _ORDERS:
        problem = f"its groups can be ordered in {n_orders:,} ways, {_ORDERS:,} are the most"
        raise UserError(source, f"templates.{name}", problem, "Use fewer or smaller groups")
    result = []
    for order in product(*(permutations(orders[group]) for group in used)):
        chosen = dict(zip(used, order, strict=True))
        filled = [chosen[role][int(slot) - 1] if slot else role for role, slot in places]
        result.append(Layout(name, literals, _labelled(filled)))
    return tuple(result)


def _parsed(
    name: str, text: str, source: Path
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Cut a template into its literals and the (role or group, slot or "") between them."""
    key = f"templates.{name}"
    pieces = _PLACE.split(text)
    literals, places = tuple(pieces[::3]), tuple(zip(pieces[1::3], pieces[2::3], strict=True))
    if any(brace in literal for literal in literals for brace in "{}"):
        stray = next(lit for lit in literals if "{" in lit or "}" in lit)
        at = min(stray.find(brace) for brace in "{}" if brace in stray)
        raise UserError(
            source,
            key,
            f"the braces at {stray[at : at + 20]!r} do not name a place",
            "Write {role} or {group.1}, and no other braces",
        )
    if not places:
        raise UserError(source, key, "the template has no place", "Mention a role, such as {role}")
    if text != text.strip():
        problem = f"the prompt {'starts' if text != text.lstrip() else 'ends'} with white space"
        raise UserError(source, key, problem, "Remove it: the answer brings its own space")
    if any(not (char.isprintable() or char == "\n") for char in text):
        raise UserError(source, key, "the template has control characters", "Remove them")
    for before, after in pairwise(literals):
        if before[-1:].isalnum() or after[:1].isalnum():
            raise UserError(
                source,
                key,
                f"a place touches the letters {(before[-8:] + '{...}' + after[:8])!r}",
                "Put a space or a punctuation mark between them",
            )
    if any(chunk.count(_MARK) > 1 for chunk in _MARK.join(literals).split()):
        raise UserError(source, key, "two places stand in one word", "Put a space between them")
    return literals, tuple((role, slot or "") for role, slot in places)


def _misfit(
    role: str, slot: str, roles: Mapping[str, object], orders: Mapping[str, tuple[str, ...]]
) -> tuple[str, str] | None:
    """Problem and remedy of a place that names no role."""
    if slot and role not in orders:
        return f"there is no group {role!r} in orders", advice(role, orders)
    if slot and int(slot) > (size := len(orders[role])):
        problem = f"the group {role!r} has {size} places, not {slot}"
        return problem, "Use a smaller number, or add a role to the group"
    if not slot and role in orders:
        problem = f"{{{role}}} names a group of roles, not a role"
        return problem, f"Number its places: {{{role}.1}}, {{{role}.2}} ..."
    if not slot and role not in roles:
        return f"there is no role {role!r}", advice(role, roles)
    return None


def _labelled(roles: list[str]) -> tuple[Mention, ...]:
    """Label mentions in the order of the text: `role`, then `role.2`, `role.3` ..."""
    seen: Counter[str] = Counter()
    mentions = []
    for role in roles:
        seen[role] += 1
        mentions.append(Mention(role if seen[role] == 1 else f"{role}.{seen[role]}", role))
    return tuple(mentions)
