"""A task as its researcher wrote it: `load_spec` reads its file and refuses what cannot work."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from timelapse.errors import UserError, raise_errors
from timelapse.files.documents import read_yaml
from timelapse.files.validation import validate
from timelapse.tasks.document import Mistake, TaskDocument, filler_mistakes, role_mistakes
from timelapse.tasks.roles import Block, assignments, blocks
from timelapse.tasks.templates import Corruption, Layout, layouts

RESERVED = ("checkpoints", "figures")
"""What no task may be called: folders of a run that other rules write."""


@dataclass(frozen=True)
class TaskSpec:
    """A checked task.

    Attributes:
        name: the stem of its file.
        source: the file, for error messages.
        fillers: the words of each list.
        blocks: the roles, grouped by the consecutive words they take.
        templates: per template its layouts, one for each order of its role groups.
        answer: the role whose word continues the prompt.
        foils: the roles whose words are wrong answers.
        corruptions: the rewrites that take the answer away.
        splits: the number of prompts of each split.
        metric: the name of what is measured of every prompt.
    """

    name: str
    source: Path
    description: str
    fillers: Mapping[str, tuple[str, ...]]
    blocks: tuple[Block, ...]
    templates: tuple[tuple[Layout, ...], ...]
    answer: str
    foils: tuple[str, ...]
    corruptions: tuple[Corruption, ...]
    splits: Mapping[str, int]
    metric: str = "logit_diff"

    @cached_property
    def roles(self) -> dict[str, str]:
        """Per role the filler list it draws from."""
        return {role: block.fillers for block in self.blocks for role in block.roles}

    @property
    def corruption_names(self) -> list[str]:
        """The names of its corruptions."""
        return [corruption.name for corruption in self.corruptions]

    def words(self) -> tuple[str, ...]:
        """Every word that a prompt, a corrupted prompt or an answer can have, sorted.

        Words are what white space, commas and full stops separate; these two marks are left out.
        """
        found = {word for words in self.fillers.values() for word in words}
        for layout in self.layouts:
            variants = [layout, *(layout.rewritten(c.rewrite) for c in self.corruptions)]
            for before, role, after in {chunk for v in variants for chunk in v.chunks}:
                for word in self.fillers[self.roles[role]] if role else ("",):
                    found.update(re.findall(r"[^,.]+", before + word + after))
        return tuple(sorted(found))

    def capacity(self, layout: Layout) -> int:
        """An upper bound on the different prompts of a layout."""
        return assignments(layout.roles, self.blocks, self.fillers)

    @property
    def layouts(self) -> list[Layout]:
        """The layouts of all templates."""
        return [layout for template in self.templates for layout in template]


def load_spec(path: str | Path) -> TaskSpec:
    """Read and check a task file.

    Raises:
        UserError: naming the file and, for every mistake, the key, what is wrong, and what to do.
            What does not fit together is looked for where every part is sound.
    """
    source = Path(path)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", source.stem):
        problem = f"{source.stem!r} cannot be a task's name"
        remedy = "Rename the file with letters, digits and underscores, starting with a letter"
        raise UserError(source, "", problem, remedy)
    if source.stem in RESERVED:
        problem = f"a task cannot be called {source.stem!r}, which is a folder of every run"
        raise UserError(source, "", problem, "Rename the file")
    document = validate(TaskDocument, read_yaml(source), lambda _: str(source))
    task_blocks, block_mistakes = blocks(document.roles, document.fillers)
    templates, errors = [], []
    for name, text in document.templates.items():
        try:
            templates.append(layouts(name, text, document.roles, document.orders, source))
        except UserError as error:
            errors.append(error)
    mistakes = [*filler_mistakes(document), *block_mistakes, *role_mistakes(document)]
    raise_errors([*_errors(mistakes, source), *errors])
    spec = TaskSpec(
        name=source.stem,
        source=source,
        description=document.description,
        fillers=document.fillers,
        blocks=task_blocks,
        templates=tuple(templates),
        answer=document.answer,
        foils=document.foils,
        corruptions=tuple(
            Corruption(name, entry.rewrite, entry.answer)
            for name, entry in document.corruptions.items()
        ),
        splits=document.splits.model_dump(),
        metric=document.metric,
    )
    raise_errors(_errors(_spec_mistakes(spec, document), source))
    return spec


def _errors(mistakes: Iterable[Mistake], source: Path) -> list[UserError]:
    return [UserError(source, *mistake) for mistake in mistakes]


def _spec_mistakes(spec: TaskSpec, document: TaskDocument) -> Iterator[Mistake]:
    """What does not fit together in a spec, each part of which is sound."""
    yield from _answer_mistakes(spec, document.unmentioned_answer)
    for corruption in spec.corruptions:
        yield from corruption.mistakes(spec.layouts)
    yield from _idle(spec, document)
    for place, template in enumerate(spec.templates):
        yield from _capacity_mistakes(spec, place, template)


def _answer_mistakes(spec: TaskSpec, unmentioned: bool) -> Iterator[Mistake]:
    """Prompts that do not determine their answer: they mention it, or a role that leads to it."""
    block = next(set(block.roles) for block in spec.blocks if spec.answer in block.roles)
    for name, roles in {layout.template: layout.roles for layout in spec.layouts}.items():
        if unmentioned and spec.answer in roles:
            problem = f"the template {name!r} mentions the answer {spec.answer!r}"
            remedy = "Remove this key, or take the answer out of the template"
            yield "unmentioned_answer", problem, remedy
        if not unmentioned and block.isdisjoint(roles):
            problem = f"the template {name!r} does not mention the answer {spec.answer!r}"
            remedy = "Mention it, or set unmentioned_answer: true if any unmentioned word will do"
            yield "answer", problem, remedy


def _idle(spec: TaskSpec, document: TaskDocument) -> Iterator[Mistake]:
    """Roles and groups that nothing uses, which are forgotten or misspelt ones."""
    for group, members in document.orders.items():
        if not any(f"{{{group}.1}}" in text for text in document.templates.values()):
            remedy = f"Use {{{group}.1}} ... {{{group}.{len(members)}}} in a template, or remove it"
            yield f"orders.{group}", "no template uses this group", remedy
    used: set[str | None] = {spec.answer, *spec.foils}
    used |= {role for layout in spec.layouts for role in layout.roles}
    for corruption in spec.corruptions:
        used |= {*corruption.rewrite.values(), corruption.answer}
    for block in spec.blocks:
        if used.isdisjoint(block.roles):
            remedy = "Mention it in a template, a corruption or the foils, or remove it"
            yield f"roles.{block.roles[0]}", "nothing uses this role", remedy


def _capacity_mistakes(spec: TaskSpec, place: int, template: Sequence[Layout]) -> Iterator[Mistake]:
    """A template that cannot give as many different prompts as the splits ask of it."""
    asked = sum(spec.splits.values())
    share = len(range(place, asked, len(spec.templates)))
    for order, layout in enumerate(template):
        needed = len(range(order, share, len(template)))
        if needed > (capacity := spec.capacity(layout)):
            problem = (
                f"of {asked} prompts the template {layout.template!r} has to give {needed} "
                f"different ones in each order of its roles, but has {capacity}"
            )
            yield "splits", problem, "Lower the splits, or add words or templates"
            return


POSITION = pa.struct([("label", pa.string()), ("start", pa.int32()), ("end", pa.int32())])


def dataset_schema(corruptions: Sequence[str]) -> pa.Schema:
    """The schema of a dataset with these corruptions.

    Positions are character offsets into the clean prompt, their end exclusive; the last label of
    every row is `end`, the prompt's last word. `answer_NAME` is null where the corrupted prompt has
    no single answer.
    """
    fields = [
        pa.field("example_id", pa.int64(), nullable=False),
        pa.field("template", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("foils", pa.list_(pa.string()), nullable=False),
        pa.field("positions", pa.list_(POSITION), nullable=False),
    ]
    for name in corruptions:
        fields += [
            pa.field(f"corrupted_{name}", pa.string(), nullable=False),
            pa.field(f"answer_{name}", pa.string()),
        ]
    return pa.schema(fields)
