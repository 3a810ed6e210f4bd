"""Roles: which words they draw. Roles that follow one another form a block of one filler list."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import perm

from timelapse.files.messages import advice
from timelapse.tasks.document import Follows, Mistake


@dataclass(frozen=True)
class Block:
    """Roles that take consecutive words of a filler list; most blocks are a single role."""

    fillers: str
    roles: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.roles)


def blocks(
    roles: Mapping[str, str | Follows], fillers: Mapping[str, Sequence[str]]
) -> tuple[tuple[Block, ...], list[Mistake]]:
    """Group the roles of a spec into blocks.

    Returns:
        The blocks, and what is wrong with the roles: an unknown list or role, a chain that branches
        or closes, lists with too few words or without a role.
    """
    mistakes: list[Mistake] = []
    followers: dict[str, str] = {}
    for role, draw in roles.items():
        if isinstance(draw, str):
            if draw not in fillers:
                problem = f"there is no filler list {draw!r}"
                mistakes.append((f"roles.{role}", problem, advice(draw, fillers)))
            continue
        leader, key = draw.follows, f"roles.{role}.follows"
        if leader not in roles:
            problem = f"there is no role {leader!r} to follow"
            mistakes.append((key, problem, advice(leader, roles)))
        elif leader in followers:
            problem = f"the role {followers[leader]!r} follows {leader!r} already"
            remedy = f"Let {role!r} follow {followers[leader]!r}, or draw it from a list"
            mistakes.append((key, problem, remedy))
        else:
            followers[leader] = role
    result = []
    for role, draw in roles.items():
        if isinstance(draw, str):
            chain = [role]
            while chain[-1] in followers:
                chain.append(followers[chain[-1]])
            result.append(Block(draw, tuple(chain)))
    if mistakes:
        return tuple(result), mistakes
    placed = {role for block in result for role in block.roles}
    for role in [role for role in roles if role not in placed][:1]:
        problem = f"the role {role!r} follows itself in the end"
        remedy = "Draw the first role of the chain from a filler list"
        mistakes.append((f"roles.{role}.follows", problem, remedy))
    for name, words in fillers.items():
        needed = sum(len(block) for block in result if block.fillers == name)
        key = f"fillers.{name}"
        if needed == 0 and not mistakes:
            mistakes.append((key, "no role draws from this list", "Remove it"))
        if needed > len(words):
            problem = f"the roles need {needed} different words, but the list has {len(words)}"
            mistakes.append((key, problem, "Add words, or remove roles"))
    return tuple(result), mistakes


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
