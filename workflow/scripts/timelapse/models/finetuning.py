"""Fine-tuning on a task: the loss lies on the answer token alone."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from timelapse.models.loading import load_model, load_tokenizer
from timelapse.models.prompts import encode
from timelapse.models.training import IGNORED, Recipe, train
from timelapse.seeds import derived_seed, generator
from timelapse.tasks.dataset import read_dataset


def finetune(
    base: Path,
    dataset: Path,
    settings: Mapping[str, Any],
    checkpoints: tuple[int, ...],
    seed: int,
    folder: Path,
) -> pa.Table:
    """Fine-tune a model on a dataset; continue the training whose state lies in `folder`.

    Args:
        base: the Hugging Face folder that it starts from.
        dataset: the training prompts.
        settings: the training keys of `runs.NAME` of a study's config.
        checkpoints: the steps that are kept.
        seed: of order and dropout.
        folder: where checkpoints and the state are kept.

    Returns:
        the training table.

    Raises:
        UserError: the model does not load or does not fit the dataset.
    """
    tokenizer = load_tokenizer(base)
    table = read_dataset(dataset)
    examples = answer_examples(
        table,
        tokenizer,
        dataset,
        drawn_rows(
            len(table),
            settings["steps"] * settings["batch"],
            generator(seed, "finetune", "order"),
        ),
    )
    recipe = Recipe(
        **settings,
        betas=(0.9, 0.999),
        clip=1.0,
        checkpoints=checkpoints,
        rolling=max(1, settings["steps"] // 20),
    )
    return train(
        partial(load_model, base, "cpu"),
        tokenizer,
        examples,
        recipe,
        derived_seed(seed, "finetune", "dropout"),
        folder,
    )


def drawn_rows(
    n_rows: int, n_drawn: int, generator: np.random.Generator
) -> Int[np.ndarray, "drawn"]:
    """Row numbers in the order of training: one shuffled pass over the dataset after another."""
    passes = -(-n_drawn // n_rows)
    return np.concatenate([generator.permutation(n_rows) for _ in range(passes)])[:n_drawn]


def answer_examples(
    table: pa.Table,
    tokenizer: PreTrainedTokenizerBase,
    source: Path,
    rows: Int[np.ndarray, "drawn"],
) -> Dataset:
    """Prompts with their answers as `input_ids`, and `labels` that ignore all but the answer.

    Raises:
        UserError: an answer is not one token.
    """
    by_row: dict[int, list[int]] = {}
    for bucket in encode(table, tokenizer, source):
        for row, tokens, answer in zip(
            bucket.rows.tolist(), bucket.tokens.tolist(), bucket.answer.tolist(), strict=True
        ):
            by_row[row] = [*tokens, answer]
    drawn = [by_row[row] for row in rows.tolist()]
    return Dataset.from_dict(
        {
            "input_ids": drawn,
            "labels": [[IGNORED] * (len(ids) - 1) + ids[-1:] for ids in drawn],
        }
    )
