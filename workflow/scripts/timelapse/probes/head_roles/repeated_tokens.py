"""Heads that find earlier occurrences: attention on random words that are repeated once.

Means over the sequences of a head's attention
- `previous_token`: from each token to the one before it, in both runs;
- `duplicate_token`: from each token of the second run to its first occurrence (Wang et al. 2022,
  "Interpretability in the wild", section 3);
- `induction`: from each token of the second run to the one after its first occurrence, the
  prefix-matching score of Olsson et al. 2022, "In-context learning and induction heads".
A head that does just that scores 1. Runs have several lengths: a head that looks a fixed number of
tokens back is right for one of them only.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedTokenizerBase

from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.prompts import Prompts
from timelapse.probes.head_roles.role_definitions import DUPLICATE_TOKEN, INDUCTION, PREVIOUS_TOKEN
from timelapse.running_mean import RunningMean

REPEAT_ROLES = (PREVIOUS_TOKEN, DUPLICATE_TOKEN, INDUCTION)
LENGTHS = 4
"""How many lengths the runs have, from half of the longest on."""
SHORTEST = 3
"""In runs of two words the token after the first occurrence is the previous token."""


def ordinary_words(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that are a whole word of letters when a text continues with it."""
    ids = sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids))
    words = [text.strip() for text in tokenizer.batch_decode([[token] for token in ids])]
    spelt = [(token, word) for token, word in zip(ids, words, strict=True) if word.isalpha()]
    if not spelt:
        return []
    before = tokenizer(".")["input_ids"]
    continued = tokenizer([f". {word}" for _, word in spelt])["input_ids"]
    return [
        token
        for (token, _), found in zip(spelt, continued, strict=True)
        if found == [*before, token]
    ]


def repeated_words(
    tokenizer: PreTrainedTokenizerBase,
    sequences: int,
    length: int,
    context: int,
    random: np.random.Generator,
) -> list[Int[Tensor, "_ _"]]:
    """Sequences of different random words, then the same words again.

    Args:
        tokenizer: the model's; a start token that it puts in front of texts stands there too.
        sequences: how many in all.
        length: words in the longest run; at most a quarter of the context, so that a small model is
            not asked about positions that it has hardly seen, and no more than there are words.
        context: the most tokens that the model reads.
        random: draws the words.

    Returns:
        Token ids [sequence, position], one tensor for each length, the longest first.

    Raises:
        UserError: the tokenizer has too few ordinary words, or the context has no room for them.
    """
    words = ordinary_words(tokenizer)
    start = tokenizer("")["input_ids"]
    length = min(length, context // 4, len(words))
    if length < SHORTEST:
        raise UserError(
            tokenizer.name_or_path,
            "",
            f"no random words to repeat: {len(words)} ordinary words, {context} tokens of context",
            "Leave the head_roles probe out of this model's study",
        )
    lengths = np.unique(
        np.linspace(max(SHORTEST, length // 2), length, LENGTHS).round().astype(int)
    )
    shares = np.bincount(np.arange(sequences) % len(lengths), minlength=len(lengths))
    tokens = []
    for run, n in zip(lengths[::-1], shares, strict=True):
        drawn = [random.choice(words, run, replace=False) for _ in range(n)]
        tokens.append(torch.tensor([[*start, *once, *once] for once in drawn]))
    return [found for found in tokens if len(found)]


@torch.no_grad()
def repeat_scores(
    bridge: TransformerBridge, tokens: Sequence[Int[Tensor, "_ _"]], batch_size: int
) -> RunningMean:
    """Measure the scores of `REPEAT_ROLES`.

    Args:
        bridge: the model.
        tokens: [sequence, position] for each length, as `repeated_words` gives them.
        batch_size: sequences run at a time.

    Returns:
        Means over the sequences, a quantity for each role, layer and head in this order.
    """
    names = [hooks.pattern(layer) for layer in range(bridge.cfg.n_layers)]
    start = len(bridge.tokenizer("")["input_ids"])
    means = RunningMean(len(REPEAT_ROLES) * len(names) * bridge.cfg.n_heads)
    for of_length in tokens:
        for batch in of_length.to(bridge.cfg.device).split(batch_size):
            recorder = Recorder()
            with bridge.hooks(fwd_hooks=[recorder.keep(name) for name in names]):
                last_logits(bridge, batch)
            patterns = torch.stack([recorder[name][:, :, start:, start:] for name in names])
            means.add(repeat_attention(patterns).flatten(0, 2))
    return means


def repeat_attention(
    patterns: Float[Tensor, "layer sequence head query key"],
) -> Float[Tensor, "role layer head sequence"]:
    """The scores of `REPEAT_ROLES` on sequences whose second half repeats the first."""
    length = patterns.shape[-1] // 2
    offsets = {PREVIOUS_TOKEN: 1, DUPLICATE_TOKEN: length, INDUCTION: length - 1}
    scores = []
    for role in REPEAT_ROLES:
        diagonal = patterns.diagonal(-offsets[role], dim1=-2, dim2=-1)
        scores.append((diagonal if role is PREVIOUS_TOKEN else diagonal[..., -length:]).mean(-1))
    return torch.stack(scores).transpose(2, 3)


def answer_mentions(prompts: Prompts) -> Bool[Tensor, "batch position"]:
    """Which tokens are the answer."""
    return prompts.tokens == prompts.answer[:, None]


def foil_mentions(prompts: Prompts) -> Bool[Tensor, "batch position"]:
    """Which tokens are one of the foils."""
    return (prompts.tokens[:, :, None] == prompts.foils[:, None]).any(-1)
