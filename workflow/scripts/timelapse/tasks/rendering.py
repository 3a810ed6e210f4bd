"""Random words for roles: different words everywhere, consecutive ones inside a block."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from timelapse.tasks.roles import free_ranks
from timelapse.tasks.spec import POSITION, TaskSpec
from timelapse.tasks.templates import END, Layout


class Words:
    """All filler words of a task; a drawn word is its index here.

    Attributes:
        words: the words, list after list.
        lengths: their lengths in characters.
        column: per role its column in what `draw` returns.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.words = pa.array([word for words in spec.fillers.values() for word in words])
        self.lengths: Int[np.ndarray, " word"] = pc.utf8_length(self.words).to_numpy()
        self.column = {role: column for column, role in enumerate(spec.roles)}
        self._lists = []
        first = 0
        for name, words in spec.fillers.items():
            blocks = [block for block in spec.blocks if block.fillers == name]
            self._lists.append((first, len(words), blocks))
            first += len(words)

    def draw(self, rng: np.random.Generator, rows: int) -> Int[np.ndarray, "row role"]:
        """Draw a word for every role; every arrangement that the spec allows is equally likely."""
        drawn = np.empty((rows, len(self.column)), dtype=np.int64)
        for first, size, blocks in self._lists:
            lengths = np.array([len(block) for block in blocks])
            ranks = distinct(rng, rows, len(blocks), free_ranks(size, lengths.tolist()))
            starts = first + ranks
            if (lengths > 1).any():
                is_before = ranks[:, None, :] < ranks[:, :, None]
                starts = starts + is_before @ (lengths - 1)
            for place, block in enumerate(blocks):
                for step, role in enumerate(block.roles):
                    drawn[:, self.column[role]] = starts[:, place] + step
        return drawn


def distinct(
    rng: np.random.Generator, rows: int, count: int, size: int
) -> Int[np.ndarray, "row count"]:
    """Draw `count` different numbers below `size` in each row, every sequence equally likely.

    The k-th number is drawn below size - k, then moved past the numbers that are taken.
    """
    picks = rng.integers(0, size - np.arange(count), size=(rows, count))
    for place in range(1, count):
        for taken in np.sort(picks[:, :place], axis=1).T:
            picks[:, place] += picks[:, place] >= taken
    return picks


def prompts(layout: Layout, words: Words, drawn: Int[np.ndarray, "row role"]) -> pa.StringArray:
    """The prompt of every row."""
    pieces: list[pa.Array | pa.Scalar] = [pa.scalar(layout.literals[0])]
    for mention, literal in zip(layout.mentions, layout.literals[1:], strict=True):
        pieces += [_column(words, drawn, mention.role), pa.scalar(literal)]
    return pc.binary_join_element_wise(*pieces, "")


def columns(
    spec: TaskSpec,
    layout: Layout,
    words: Words,
    clean: pa.StringArray,
    drawn: Int[np.ndarray, "row role"],
) -> pa.RecordBatch:
    """Every dataset column but `example_id`, of rows whose prompts are known."""
    rows = len(drawn)
    result = {
        "template": pa.repeat(layout.template, rows),
        "prompt": clean,
        "answer": _column(words, drawn, spec.answer),
        "foils": _foils(words, drawn[:, [words.column[foil] for foil in spec.foils]]),
        "positions": _positions(layout, words, drawn),
    }
    for corruption in spec.corruptions:
        rewritten = layout.rewritten(corruption.rewrite)
        result[f"corrupted_{corruption.name}"] = prompts(rewritten, words, drawn)
        result[f"answer_{corruption.name}"] = (
            pa.nulls(rows, pa.string())
            if corruption.answer is None
            else _column(words, drawn, corruption.answer)
        )
    return pa.RecordBatch.from_pydict(result)


def _column(words: Words, drawn: Int[np.ndarray, "row role"], role: str) -> pa.StringArray:
    return words.words.take(pa.array(drawn[:, words.column[role]]))


def _foils(words: Words, foils: Int[np.ndarray, "row foil"]) -> pa.ListArray:
    return _lists(words.words.take(pa.array(foils.ravel())), *foils.shape)


def _positions(layout: Layout, words: Words, drawn: Int[np.ndarray, "row role"]) -> pa.ListArray:
    """Character offsets of every mention and of the last word, in the order of the text."""
    roles = [words.column[mention.role] for mention in layout.mentions]
    lengths = words.lengths[drawn[:, roles]]
    text_before = np.cumsum([len(literal) for literal in layout.literals])
    ends = np.cumsum(lengths, axis=1) + text_before[:-1]
    whole = ends[:, -1:] + len(layout.literals[-1])
    before, role, after = layout.chunks[-1]
    tail = len(before + after) + (lengths[:, -1:] if role else 0)
    starts = np.concatenate([ends - lengths, whole - tail], axis=1)
    ends = np.concatenate([ends, whole], axis=1)
    labels: Sequence[str] = [*(mention.label for mention in layout.mentions), END]
    places = np.tile(np.arange(len(labels)), len(drawn))
    values = pa.StructArray.from_arrays(
        [
            pa.array(labels).take(pa.array(places)),
            pa.array(starts.ravel(), pa.int32()),
            pa.array(ends.ravel(), pa.int32()),
        ],
        fields=list(POSITION),
    )
    return _lists(values, *starts.shape)


def _lists(values: pa.Array, rows: int, width: int) -> pa.ListArray:
    offsets = np.arange(0, rows * width + 1, width, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)
