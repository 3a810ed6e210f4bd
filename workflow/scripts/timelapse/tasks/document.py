"""What a task file may say, as pydantic models, and the checks that need no template.

`workflow/schemas/task.schema.yaml` is generated from the models, see `study.schemas`.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from timelapse.files.messages import advice
from timelapse.files.validation import Name, StrictModel, Unique

END = "end"
"""The label of every prompt's last word."""

Mistake = tuple[str, str, str]
"""Dotted key, problem, remedy."""

_Word = Annotated[
    str,
    Field(
        pattern=r"^[^\W_]+(['’-][^\W_]+)*$",
        max_length=40,
        description="one word of letters and digits, with apostrophes or hyphens inside",
    ),
]
_Words = Annotated[tuple[_Word, ...], Field(min_length=1, description="a list of words"), Unique()]
_Group = Annotated[
    tuple[str, ...],
    Field(min_length=2, max_length=5, description="a list of two to five roles"),
    Unique(),
]
_Text = Annotated[str, Field(min_length=1, max_length=2000, description="the text of a prompt")]
_Count = Annotated[int, Field(ge=1, le=10_000_000)]


class Follows(StrictModel):
    """A role that takes the word after another role's."""

    follows: str
    """the role whose next list member this role takes"""


class CorruptionEntry(StrictModel):
    """{rewrite: {mention: role}, answer: role or null}"""

    rewrite: Annotated[dict[str, str], Field(min_length=1)]
    """mention: the role whose word stands there instead; role.2 is a second mention"""
    answer: str | None
    """the role that answers the corrupted prompt, or null if no single one does"""


class Splits(StrictModel):
    """The number of prompts in each split."""

    train: _Count
    """a number of prompts"""
    validation: _Count
    """a number of prompts"""
    test: _Count
    """a number of prompts"""


class TaskDocument(StrictModel):
    """A task: prompts with one answer, its foils and its corruptions. The file names it."""

    description: str = ""
    """one line on what the task asks for"""
    fillers: Annotated[dict[Name, _Words], Field(min_length=1)]
    """lists of words that fill the places in a template"""
    roles: Annotated[dict[Name, str | Follows], Field(min_length=1)]
    """role: the filler list it draws from, or role: {follows: another role}"""
    orders: dict[Name, _Group] = Field({})
    """group: roles that take the places {group.1}, {group.2} ... in every order"""
    templates: Annotated[dict[Name, _Text], Field(min_length=1)]
    """name: a prompt with {role} and {group.1} places, up to the word before the answer"""
    answer: str
    """the role whose word continues the prompt"""
    unmentioned_answer: bool = False
    """true if the answer is a free choice among the words that the prompt does not mention"""
    foils: Annotated[tuple[str, ...], Field(min_length=1), Unique()]
    """a list of roles whose words are wrong answers"""
    corruptions: Annotated[dict[Name, CorruptionEntry], Field(min_length=1)]
    """name: {rewrite: {mention: role}, answer: role or null}"""
    metric: Name = "logit_diff"
    """the number that is measured of every prompt and that circuits are about"""
    splits: Splits
    """the number of prompts in train, validation and test"""


def filler_mistakes(document: TaskDocument) -> Iterator[Mistake]:
    """Words that stand in two lists: words of different roles must differ."""
    home: dict[str, str] = {}
    for name, words in document.fillers.items():
        for place, word in enumerate(words):
            if word in home:
                problem = f"the word {word!r} stands in fillers.{home[word]} too"
                yield f"fillers.{name}[{place}]", problem, "Keep it in one of the two lists"
        home |= dict.fromkeys(words, name)


def role_mistakes(document: TaskDocument) -> Iterator[Mistake]:
    """Roles with a name that is taken, and names that are of no role."""
    roles, answer = document.roles, document.answer
    if END in roles:
        yield (
            f"roles.{END}",
            f"{END!r} is the label of the prompt's last word",
            ("Give the role another name"),
        )
    for group, members in document.orders.items():
        if group in roles:
            problem = f"{group!r} is a role as well"
            yield f"orders.{group}", problem, "Rename the group or the role"
        for place, role in enumerate(members):
            yield from _unknown(role, roles, f"orders.{group}[{place}]")
    yield from _unknown(answer, roles, "answer")
    for place, foil in enumerate(document.foils):
        yield from _unknown(foil, roles, f"foils[{place}]")
        if foil == answer:
            problem = f"the foil {foil!r} is the answer"
            yield f"foils[{place}]", problem, "Name roles with wrong answers"
    for name, entry in document.corruptions.items():
        for label, role in entry.rewrite.items():
            yield from _unknown(role, roles, f"corruptions.{name}.rewrite.{label}")
        if entry.answer is not None:
            yield from _unknown(entry.answer, roles, f"corruptions.{name}.answer")
        if entry.answer == answer:
            yield (
                f"corruptions.{name}.answer",
                f"the corrupted prompt keeps the clean answer {entry.answer!r}",
                "Name the role that answers the corrupted prompt, or null if no single one does",
            )


def _unknown(role: str, roles: dict[str, str | Follows], key: str) -> Iterator[Mistake]:
    if role not in roles:
        yield key, f"there is no role {role!r}", advice(role, roles)
