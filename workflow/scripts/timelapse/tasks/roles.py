"""Roles: which words they draw. Roles that follow one another form a block of one filler list."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import perm
from pathlib import Path

from timelapse.errors import UserError
from timelapse.files.violations import advice


@dataclass(frozen=True)
class Block:
    """Roles that take consecutive words of a filler list; most blocks are a single role."""

    fillers: str
    roles: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.roles)


def blocks(
    roles: Mapping[str, str | Mapping[str, str]],
    fillers: Mapping[str, Sequence[str]],
    source: Path,
) -> tuple[Block, ...]:
    """Group the roles of a spec into blocks.

    Raises:
        UserError: an unknown list or role, a chain that branches or closes, too few words.
    """
    followers: dict[str, str] = {}
    for role, draw in roles.items():
        if isinstance(draw, str):
            if draw not in fillers:
                problem = f"there is no filler list {draw!r}"
                raise UserError(source, f"roles.{role}", problem, advice(draw, fillers))
            continue
        leader = draw["follows"]
        if leader not in roles:
            problem = f"there is no role {leader!r} to follow"
            raise UserError(source, f"roles.{role}.follows", problem, advice(leader, roles))
        if leader in followers:
            problem = f"the role {followers[leader]!r} follows {leader!r} already"
            remedy = f"Let {role!r} follow {followers[leader]!r}, or draw it from a list"
            raise UserError(source, f"roles.{role}.follows", problem, remedy)
        followers[leader] = role
    result = []
    for role, draw in roles.items():
        if isinstance(draw, str):
            chain = [role]
            while chain[-1] in followers:
                chain.append(followers[chain[-1]])
            result.append(Block(draw, tuple(chain)))
    placed = {role for block in result for role in block.roles}
    if lost := [role for role in roles if role not in placed]:
        problem = f"the role {lost[0]!r} follows itself in the end"
        remedy = "Draw the first role of the chain from a filler list"
        raise UserError(source, f"roles.{lost[0]}.follows", problem, remedy)
    for name, words in fillers.items():
        needed = sum(len(block) for block in result if block.fillers == name)
        if needed == 0:
            raise UserError(source, f"fillers.{name}", "no role draws from this list", "Remove it")
        if needed > len(words):
            problem = f"the roles need {needed} different words, but the list has {len(words)}"
            raise UserError(source, f"fillers.{name}", problem, "Add words, or remove roles")
    return tuple(result)


def free_ranks(size: int, lengths: Sequence[int]) -> int:
    """How many ranks blocks can take: each block and each word outside all blocks is one place."""
    return size - sum(lengths) + len(lengths)


def assignments(
    mentioned: Collection[str], blocks: Sequence[Block], fillers: Mapping[str, Sequence[str]]
) -> int:
    """An upper bound on the different ways to put words in the mentioned roles.

    Exact where no unmentioned block is longer than one word.
    """
    count = 1
    for name, words in fillers.items():
        lengths = [
            len(block)
            for block in blocks
            if block.fillers == name and not set(block.roles).isdisjoint(mentioned)
        ]
        count *= perm(free_ranks(len(words), lengths), len(lengths))
    return count
