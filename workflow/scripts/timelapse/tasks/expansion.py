"""From a spec to its prompts: balanced, all different, the same for the same seed."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int, UInt64

from timelapse.errors import UserError
from timelapse.seeds import generator
from timelapse.tasks.document import END
from timelapse.tasks.roles import free_ranks
from timelapse.tasks.spec import POSITION, TaskSpec, dataset_schema
from timelapse.tasks.templates import Layout

# The test split comes first, so that its prompts do not depend on the size of the others.
SPLIT_ORDER = ("test", "validation", "train")
# A prompt that exists is missed by this many draws per possible prompt with probability exp(-30).
_DRAWS_PER_PROMPT = 30


def expand(spec: TaskSpec, seed: int, batch: int = 8192) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Make the prompts of every split, in batches of the dataset schema.

    Example i has template i mod T and, within that template, its orders in turn: any k rows that
    follow one another are balanced. No prompt occurs twice, neither in one split nor in two.

    Args:
        spec: the task.
        seed: with the names of the task and the split, all that the draws depend on.
        batch: rows a batch; bounds the memory.

    Raises:
        UserError: fewer different prompts exist than the splits ask for.
    """
    schema = dataset_schema(spec.corruption_names)
    supply = _Supply(spec)
    first = 0
    for split in SPLIT_ORDER:
        rng, stop = generator(seed, spec.name, split), first + spec.splits[split]
        for start in range(first, stop, batch):
            examples = np.arange(start, min(start + batch, stop))
            try:
                made = _batch(supply, rng, examples)
            except _ExhaustedError as error:
                problem = f"{error} has too few different prompts for all splits"
                remedy = "Lower the splits, or add words or templates"
                raise UserError(spec.source, f"splits.{split}", problem, remedy) from error
            yield split, pa.record_batch([pa.array(examples), *made.columns], schema=schema)
        first = stop


def _batch(
    supply: "_Supply", rng: np.random.Generator, examples: Int[np.ndarray, " row"]
) -> pa.RecordBatch:
    """The examples with these ids, without the column of ids."""
    parts, places = [], []
    templates = supply.spec.templates
    for number, template in enumerate(templates):
        order_of = examples // len(templates) % len(template)
        for order, layout in enumerate(template):
            here = np.flatnonzero((examples % len(templates) == number) & (order_of == order))
            if len(here):
                prompts, drawn = supply.take(layout, len(here), rng)
                parts.append(_columns(supply.spec, layout, supply.words, prompts, drawn))
                places.append(here)
    return pa.concat_batches(parts).take(pa.array(np.argsort(np.concatenate(places))))


class _ExhaustedError(Exception):
    """A layout has no new prompt."""


class _Supply:
    """New prompts of a task: none is given out twice."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec, self.words = spec, Words(spec)
        self._known: UInt64[np.ndarray, " prompt"] = np.empty(0, dtype=np.uint64)

    def take(
        self, layout: Layout, count: int, rng: np.random.Generator
    ) -> tuple[pa.StringArray, Int[np.ndarray, "row role"]]:
        """Draw until `count` prompts of a layout are new."""
        texts, draws, in_vain = [], [], 0
        patience = _DRAWS_PER_PROMPT * self.spec.capacity(layout)
        while count:
            drawn = self.words.draw(rng, count)
            prompts = _prompts(layout, self.words, drawn)
            is_new = self._add(prompts)
            texts.append(prompts.filter(pa.array(is_new)))
            draws.append(drawn[is_new])
            in_vain = 0 if is_new.any() else in_vain + count
            count -= int(is_new.sum())
            if in_vain > patience:
                raise _ExhaustedError(f"the template {layout.template!r}")
        return pa.concat_arrays(texts), np.concatenate(draws)

    def _add(self, prompts: pa.StringArray) -> Bool[np.ndarray, " row"]:
        """Note prompts by their hashes and say which were new; of equal ones the first.

        Two different prompts that share a 64-bit hash cost a redraw and nothing else.
        """
        texts = prompts.to_numpy(zero_copy_only=False)
        hashes, first = np.unique(pd.util.hash_array(texts, categorize=False), return_index=True)
        places = np.searchsorted(self._known, hashes)
        is_known = np.zeros(len(hashes), dtype=bool)
        inside = places < len(self._known)
        is_known[inside] = self._known[places[inside]] == hashes[inside]
        self._known = np.insert(self._known, places[~is_known], hashes[~is_known])
        is_new = np.zeros(len(prompts), dtype=bool)
        is_new[first[~is_known]] = True
        return is_new


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


def _prompts(layout: Layout, words: Words, drawn: Int[np.ndarray, "row role"]) -> pa.StringArray:
    """The prompt of every row."""
    pieces: list[pa.Array | pa.Scalar] = [pa.scalar(layout.literals[0])]
    for mention, literal in zip(layout.mentions, layout.literals[1:], strict=True):
        pieces += [_column(words, drawn, mention.role), pa.scalar(literal)]
    return pc.binary_join_element_wise(*pieces, "")


def _columns(
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
        result[f"corrupted_{corruption.name}"] = _prompts(rewritten, words, drawn)
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
