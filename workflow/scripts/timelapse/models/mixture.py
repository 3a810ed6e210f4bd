"""What the embedded model is trained on: rows of tokens drawn from a weighted mixture of tasks."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase


def mixture_rows(
    texts: Mapping[str, list[str]],
    weights: Mapping[str, float],
    tokenizer: PreTrainedTokenizerBase,
    n_rows: int,
    length: int,
    generator: np.random.Generator,
) -> Int[np.ndarray, "row position"]:
    """Rows filled with whole texts, each closed by the end token, the last one cut off.

    Every row starts with a text's first token, so that position 0 means the same as in a prompt.

    Args:
        texts: the texts of each task (prompt and answer).
        weights: how often a task is drawn, relative to the others.
        tokenizer: gives the tokens and the end token.
        n_rows: number of rows.
        length: tokens in a row.
        generator: draws tasks and texts.
    """
    names = sorted(texts)
    share = np.array([weights[name] for name in names], dtype=float)
    encoded = {
        name: [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts[name])["input_ids"]]
        for name in names
    }
    shortest = min(len(ids) for lists in encoded.values() for ids in lists)
    draws = n_rows * -(-length // shortest)
    drawn = generator.choice(len(names), size=draws, p=share / share.sum())
    which = generator.random(draws)
    rows = np.empty((n_rows, length), dtype=np.int64)
    draw = 0
    for row in rows:
        filled = 0
        while filled < length:
            pool = encoded[names[drawn[draw]]]
            ids = pool[int(which[draw] * len(pool))][: length - filled]
            row[filled : filled + len(ids)] = ids
            filled += len(ids)
            draw += 1
    return rows
