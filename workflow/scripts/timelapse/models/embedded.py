"""The embedded model: a small GPT-2 trained from scratch on a mixture of tasks, no download."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from tokenizers.pre_tokenizers import Split, WhitespaceSplit
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from timelapse.models.training import Examples, Keep, Recipe, train
from timelapse.models.training_store import TrainingFolder
from timelapse.seeds import derived_seed, generator

INITIAL_STD = 0.06
"""Of the weights, where settings say nothing. GPT-2's 0.02 is meant for a width of 768; 1/sqrt(128)
is 0.09. At width 128 the heads that solve two-object IOI form about three times sooner with it."""
WARMUP = 100
DECAYING_SHARE = 0.3
"""Share of the steps over which the learning rate falls to zero."""


def train_embedded(
    settings: Mapping[str, Any],
    words: Sequence[str],
    texts: Mapping[str, list[str]],
    seed: int,
    folder: TrainingFolder,
    keep: Keep,
) -> pa.Table:
    """Train an embedded model; go on with the training in `folder` if there is one.

    Args:
        settings: `models.NAME.embedded` of a study's config.
        words: the vocabulary.
        texts: the texts of each task of the mixture.
        seed: of weights, mixture and order.
        folder: the training's folder in the store.
        keep: takes the checkpoint of the last step, the model.

    Returns:
        the training table: a row a step.
    """
    tokenizer = word_tokenizer(words)
    steps, batch = settings["steps"], settings["batch"]
    decay = round(DECAYING_SHARE * steps)
    rows = mixture_rows(
        texts,
        settings["mixture"],
        tokenizer,
        n_rows=steps * batch,
        length=settings["context"],
        generator=generator(seed, "embedded", "mixture"),
    )
    recipe = Recipe(
        steps=steps,
        batch=batch,
        learning_rate=settings["learning_rate"],
        warmup=min(WARMUP, steps - decay),
        decay=decay,
        betas=(0.9, 0.98),
        weight_decay=0.01,
        clip=1.0,
        dtype="float32",
        checkpoints=(steps,),
    )
    lengths = np.full(len(rows), rows.shape[1])
    examples = Examples(rows, rows, lengths, np.arange(len(rows)))
    return train(
        partial(new_model, settings, tokenizer, derived_seed(seed, "embedded", "weights")),
        tokenizer,
        examples,
        recipe,
        derived_seed(seed, "embedded", "dropout"),
        folder,
        keep,
    )


def new_model(
    settings: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, seed: int
) -> GPT2LMHeadModel:
    """An untrained GPT-2 without dropout but of attention weights, its weights drawn from the seed.

    Args:
        settings: `layers`, `heads`, `width`, `context` and, where they are not four times the width
            and 0, `mlp_width` and `attention_dropout`; `initial_std` of the weights.
        tokenizer: gives the vocabulary and the special tokens.
        seed: of the weights.
    """
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=settings["context"],
        n_embd=settings["width"],
        n_inner=settings.get("mlp_width"),
        n_layer=settings["layers"],
        n_head=settings["heads"],
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=settings.get("attention_dropout", 0.0),
        initializer_range=settings.get("initial_std", INITIAL_STD),
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config)


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


UNKNOWN, END = "<unk>", "<end>"
MARKS = (",", ".")


def word_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer for `words`, commas and full stops.

    Texts are split at white space and around the marks. One more token ends a text, another stands
    for every other word.
    """
    vocabulary = {
        token: number for number, token in enumerate([UNKNOWN, END, *MARKS, *sorted({*words})])
    }
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = PreTokenizers(
        [WhitespaceSplit(), Split(Regex(f"[{''.join(MARKS)}]"), "isolated")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, eos_token=END, pad_token=END
    )
