"""Fine-tuning on a task: the loss lies on the answer token alone."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int
from transformers import PreTrainedTokenizerBase

from timelapse.models.loading import load_model, load_tokenizer
from timelapse.models.prompts import encode
from timelapse.models.training import IGNORED, Examples, Keep, Recipe, train
from timelapse.models.training_store import TrainingFolder
from timelapse.seeds import derived_seed, generator
from timelapse.tasks.dataset import read_dataset


def finetune(
    base: Path,
    dataset: Path,
    settings: Mapping[str, Any],
    checkpoints: tuple[int, ...],
    seed: int,
    folder: TrainingFolder,
    keep: Keep,
) -> pa.Table:
    """Fine-tune a model on a dataset; go on with the training in `folder` if there is one.

    Args:
        base: the Hugging Face folder that it starts from.
        dataset: the training prompts.
        settings: how to train, the keys of `training.Recipe` that a run of the config has.
        checkpoints: the steps that are kept.
        seed: of order and dropout.
        folder: the training's folder in the store.
        keep: takes the checkpoints.

    Returns:
        the training table: a row a step.

    Raises:
        UserError: the model does not load or does not fit the dataset.
    """
    tokenizer = load_tokenizer(base)
    table = read_dataset(dataset)
    n_drawn = settings["steps"] * settings["batch"]
    order = drawn_rows(len(table), n_drawn, generator(seed, "finetune", "order"))
    recipe = Recipe(**settings, betas=(0.9, 0.999), clip=1.0, checkpoints=checkpoints)
    return train(
        partial(load_model, base, "cpu"),
        tokenizer,
        answer_examples(table, tokenizer, dataset, order),
        recipe,
        derived_seed(seed, "finetune", "dropout"),
        folder,
        keep,
    )


def drawn_rows(
    n_rows: int, n_drawn: int, generator: np.random.Generator
) -> Int[np.ndarray, " drawn"]:
    """Row numbers in the order of training: one shuffled pass over the dataset after another."""
    passes = -(-n_drawn // n_rows)
    return np.concatenate([generator.permutation(n_rows) for _ in range(passes)])[:n_drawn]


def answer_examples(
    table: pa.Table,
    tokenizer: PreTrainedTokenizerBase,
    source: Path,
    order: Int[np.ndarray, " drawn"],
) -> Examples:
    """Every prompt with its answer, which alone carries loss.

    Args:
        table: a dataset.
        tokenizer: the model's.
        source: the dataset's file, for messages.
        order: the rows of the dataset in the order of training.

    Raises:
        UserError: an answer is not one token.
    """
    buckets = encode(table, tokenizer, source)
    longest = 1 + max(bucket.tokens.shape[1] for bucket in buckets)
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    tokens = np.full((len(table), longest), padding or 0)
    labels = np.full((len(table), longest), IGNORED)
    lengths = np.zeros(len(table), dtype=np.int64)
    for bucket in buckets:
        rows, length = bucket.rows, bucket.tokens.shape[1]
        tokens[rows, :length] = bucket.tokens.numpy()
        tokens[rows, length] = labels[rows, length] = bucket.answer.numpy()
        lengths[rows] = length + 1
    return Examples(tokens, labels, lengths, order)
