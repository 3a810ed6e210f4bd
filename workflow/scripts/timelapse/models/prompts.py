"""Prompts as tokens: a dataset read with a model's tokenizer, in buckets of equal length.

A measurement never pads: prompts of different lengths go into different buckets.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from timelapse.errors import UserError

CORRUPTED = "corrupted_"


@dataclass(frozen=True)
class Prompts:
    """Prompts of one token length with one number of foils.

    Attributes:
        rows: their row numbers in the dataset table.
        tokens: the clean prompts.
        answer: the answer token of each.
        foils: the tokens that the answer is compared with.
        corrupted: the corrupted prompts of each corruption, token by token beside the clean ones.
        positions: index of the last token of each labelled position.
    """

    rows: Int[np.ndarray, " batch"]
    tokens: Int[Tensor, "batch position"]
    answer: Int[Tensor, " batch"]
    foils: Int[Tensor, "batch foil"]
    corrupted: dict[str, Int[Tensor, "batch position"]]
    positions: dict[str, Int[Tensor, " batch"]]

    def __len__(self) -> int:
        return len(self.answer)

    def __getitem__(self, part: slice) -> "Prompts":
        return Prompts(
            rows=self.rows[part],
            tokens=self.tokens[part],
            answer=self.answer[part],
            foils=self.foils[part],
            corrupted={name: tokens[part] for name, tokens in self.corrupted.items()},
            positions={label: index[part] for label, index in self.positions.items()},
        )

    def batches(self, size: int) -> Iterator["Prompts"]:
        """The same prompts in their order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def repeated(self, times: int) -> "Prompts":
        """`times` copies of the prompts, one copy after the other."""
        return Prompts(
            rows=np.tile(self.rows, times),
            tokens=self.tokens.repeat(times, 1),
            answer=self.answer.repeat(times),
            foils=self.foils.repeat(times, 1),
            corrupted={name: tokens.repeat(times, 1) for name, tokens in self.corrupted.items()},
            positions={label: index.repeat(times) for label, index in self.positions.items()},
        )

    def to(self, device: torch.device | str) -> "Prompts":
        """The same prompts with their tensors on `device`."""
        return Prompts(
            rows=self.rows,
            tokens=self.tokens.to(device),
            answer=self.answer.to(device),
            foils=self.foils.to(device),
            corrupted={name: tokens.to(device) for name, tokens in self.corrupted.items()},
            positions={label: index.to(device) for label, index in self.positions.items()},
        )


def encode(
    dataset: pa.Table, tokenizer: PreTrainedTokenizerBase, source: str | Path
) -> list[Prompts]:
    """Tokenise a dataset and sort it into buckets, shortest first.

    Args:
        dataset: a dataset table (design: example_id, template, prompt, answer, foils, ...).
        tokenizer: a fast tokenizer; it decides whether a start token is put in front.
        source: the dataset's file, for messages.

    Returns:
        Buckets of prompts that have equally many tokens and foils, and the same labels.

    Raises:
        UserError: an answer or foil is not one token after its prompt, a word is unknown to the
            tokenizer, or a corrupted prompt has another number of tokens than its clean one.
    """
    clean = dataset["prompt"].to_pylist()
    encoded = tokenizer(clean, return_offsets_mapping=True)
    tokens: list[list[int]] = encoded["input_ids"]
    _check_known(tokens, clean, tokenizer, source)
    answers = _continuations(clean, dataset["answer"].to_pylist(), tokens, tokenizer, source)
    foils = _foils(clean, dataset["foils"].to_pylist(), tokens, tokenizer, source)
    corrupted: dict[str, list[list[int]]] = {}
    for column in dataset.column_names:
        if column.startswith(CORRUPTED):
            texts = dataset[column].to_pylist()
            ids = tokenizer(texts)["input_ids"]
            _check_known(ids, texts, tokenizer, source)
            _check_same_length(tokens, ids, clean, texts, column, source)
            corrupted[column.removeprefix(CORRUPTED)] = ids
    positions = [
        {span["label"]: _last_token(offsets, span["start"], span["end"]) for span in spans}
        for offsets, spans in zip(
            encoded["offset_mapping"], dataset["positions"].to_pylist(), strict=True
        )
    ]
    buckets: dict[tuple[int, ...], list[int]] = defaultdict(list)
    labels = {label: number for number, label in enumerate(sorted(set().union(*positions)))}
    for row, ids in enumerate(tokens):
        present = sum(1 << labels[label] for label in positions[row])
        buckets[len(ids), len(foils[row]), present].append(row)

    def rows_of(values: Sequence[object], rows: list[int]) -> Tensor:
        return torch.tensor([values[row] for row in rows])

    return [
        Prompts(
            rows=np.array(rows),
            tokens=rows_of(tokens, rows),
            answer=rows_of(answers, rows),
            foils=rows_of(foils, rows),
            corrupted={name: rows_of(ids, rows) for name, ids in corrupted.items()},
            positions={
                label: torch.tensor([positions[row][label] for row in rows])
                for label in positions[rows[0]]
            },
        )
        for _, rows in sorted(buckets.items())
    ]


def _continuations(
    prompts: Sequence[str],
    words: Sequence[str],
    tokens: Sequence[list[int]],
    tokenizer: PreTrainedTokenizerBase,
    source: str | Path,
) -> list[int]:
    """The one token that each word is after its prompt."""
    continued = tokenizer([f"{p} {w}" for p, w in zip(prompts, words, strict=True)])["input_ids"]
    for word, before, after in zip(words, tokens, continued, strict=True):
        if after[:-1] != before:
            raise UserError(
                source,
                "answer",
                f"{word!r} is not one token after its prompt for this model's tokenizer",
                "Take words that are single tokens for every model of the study",
            )
    last = [[ids[-1]] for ids in continued]
    _check_known(last, words, tokenizer, source)
    return [ids[-1] for ids in continued]


def _foils(
    prompts: Sequence[str],
    foils: Sequence[list[str]],
    tokens: Sequence[list[int]],
    tokenizer: PreTrainedTokenizerBase,
    source: str | Path,
) -> list[list[int]]:
    rows = [row for row, words in enumerate(foils) for _ in words]
    flat = _continuations(
        [prompts[row] for row in rows],
        [word for words in foils for word in words],
        [tokens[row] for row in rows],
        tokenizer,
        source,
    )
    rest = iter(flat)
    return [[next(rest) for _ in words] for words in foils]


def _last_token(offsets: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """Index of the last token that covers a character of [start, end)."""
    covering = [i for i, (left, right) in enumerate(offsets) if left < end and right > start]
    return covering[-1]


def _check_known(
    tokens: Sequence[list[int]],
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    source: str | Path,
) -> None:
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown == tokenizer.eos_token_id:
        return
    for ids, text in zip(tokens, texts, strict=True):
        if unknown in ids:
            raise UserError(
                source,
                "",
                f"{text!r} has a word that the model's tokenizer does not know",
                "Add the task to the model's mixture, or use words of the model's vocabulary",
            )


def _check_same_length(
    clean: Sequence[list[int]],
    corrupted: Sequence[list[int]],
    clean_texts: Sequence[str],
    corrupted_texts: Sequence[str],
    column: str,
    source: str | Path,
) -> None:
    for ids, other, text, other_text in zip(
        clean, corrupted, clean_texts, corrupted_texts, strict=True
    ):
        if len(ids) != len(other):
            raise UserError(
                source,
                column,
                f"{other_text!r} has {len(other)} tokens, its clean prompt {text!r} has {len(ids)}",
                "Take words of equal token length for every model of the study",
            )
        if ids == other:
            raise UserError(
                source,
                column,
                f"{other_text!r} equals its clean prompt",
                "Rewrite a role that changes the prompt",
            )
