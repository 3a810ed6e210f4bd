"""A task as its researcher wrote it: `load_spec` reads its file and refuses what cannot work."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from timelapse.errors import UserError
from timelapse.files.documents import read_yaml, validated
from timelapse.tasks import checks
from timelapse.tasks.corruptions import Corruption, corruptions
from timelapse.tasks.roles import Block, assignments, blocks
from timelapse.tasks.templates import END, Layout, layouts

SCHEMA = Path(__file__).parents[3] / "schemas" / "task.schema.yaml"


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
        splits: the number of prompts of each split.
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

    @cached_property
    def roles(self) -> dict[str, str]:
        """Per role the filler list it draws from."""
        return {role: block.fillers for block in self.blocks for role in block.roles}

    @property
    def schemes(self) -> list[str]:
        """The names of its corruptions."""
        return [corruption.name for corruption in self.corruptions]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Every position label of the task, in the order in which the templates mention them."""
        mentions = (
            mention.label
            for template in self.templates
            for layout in template
            for mention in layout.mentions
        )
        return tuple(dict.fromkeys([*mentions, END]))

    def words(self) -> tuple[str, ...]:
        """Every word that a prompt, a corrupted prompt or an answer can have, sorted.

        Words are what white space, commas and full stops separate; these two marks are left out.
        """
        found = {word for words in self.fillers.values() for word in words}
        for layout in (layout for template in self.templates for layout in template):
            variants = [layout, *(layout.rewritten(c.rewrite) for c in self.corruptions)]
            for before, role, after in {chunk for v in variants for chunk in v.chunks}:
                for word in self.fillers[self.roles[role]] if role else ("",):
                    found.update(re.findall(r"[^,.]+", before + word + after))
        return tuple(sorted(found))

    def capacity(self, layout: Layout) -> int:
        """An upper bound on the different prompts of a layout."""
        return assignments(layout.roles, self.blocks, self.fillers)


def load_spec(path: str | Path) -> TaskSpec:
    """Read and check a task file.

    Raises:
        UserError: for the first thing in it that cannot work.
    """
    source = Path(path)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", source.stem):
        problem = f"{source.stem!r} cannot be a task's name"
        remedy = "Rename the file with letters, digits and underscores, starting with a letter"
        raise UserError(source, "", problem, remedy)
    document = validated(read_yaml(source), SCHEMA, source)
    fillers = {name: tuple(words) for name, words in document["fillers"].items()}
    orders = {name: tuple(roles) for name, roles in document["orders"].items()}
    checks.check_fillers(fillers, source)
    checks.check_role_names(document["roles"], source)
    task_blocks = blocks(document["roles"], fillers, source)
    checks.check_orders(orders, document["roles"], source)
    templates = tuple(
        layouts(name, text, document["roles"], orders, source)
        for name, text in document["templates"].items()
    )
    checks.check_answer(document, templates, task_blocks, source)
    checks.check_foils(document["foils"], document["answer"], document["roles"], source)
    spec = TaskSpec(
        name=source.stem,
        source=source,
        description=document["description"],
        fillers=fillers,
        blocks=task_blocks,
        templates=templates,
        answer=document["answer"],
        foils=tuple(document["foils"]),
        corruptions=corruptions(document, templates, source),
        splits={split: document["splits"][split] for split in ("train", "validation", "test")},
    )
    checks.check_everything_is_used(document, templates, task_blocks, source)
    _check_capacity(spec)
    return spec


def _check_capacity(spec: TaskSpec) -> None:
    asked = sum(spec.splits.values())
    for place, template in enumerate(spec.templates):
        share = len(range(place, asked, len(spec.templates)))
        for order, layout in enumerate(template):
            needed = len(range(order, share, len(template)))
            if needed > (there := spec.capacity(layout)):
                problem = (
                    f"of {asked} prompts the template {layout.template!r} has to give {needed} "
                    f"different ones in each order of its roles, but has {there}"
                )
                remedy = "Lower the splits, or add words or templates"
                raise UserError(spec.source, "splits", problem, remedy)


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
