"""From drawn words to dataset columns: prompts, corrupted prompts, answers, foils, positions."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from timelapse.tasks.drawing import Words
from timelapse.tasks.schema import POSITION
from timelapse.tasks.spec import TaskSpec
from timelapse.tasks.template import END, Layout


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
