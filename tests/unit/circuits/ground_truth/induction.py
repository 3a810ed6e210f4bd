"""Induction by hand: a previous-token head feeds the key of an induction head.

The prompts are `. A B x C D y A`, in either order of the two triples and with or without two more
words in front; the answer is B, the foil is D. In the corrupted prompts A, B and x are other words,
C, D and y the same: `. E F z C D y E`.

The stream has a part for the token, one for the place, one for the token before and one for the
token two before. MLPs write nothing. Heads, sharp but not saturated:

- a0.h0 attends to the place before by place alone and writes its token as the token before;
- a0.h1 does so two places before;
- a1.h0 attends to where the token before is its own token and writes the token it finds there: the
  induction head;
- a1.h1 attends to where the token two before is its own token, reads only such words as x and y
  there, and writes them: real, but about words that are neither answer nor foil.

So the logit difference B less D comes from a1.h0 at the last place alone. It reads there, each on
its own enough to change it:

- queries: the last token, from the input. E finds no B.
- keys: the token before, from a0.h0. If A is E before B, A finds no B.
- values: the token at B's place, from the input.

a0.h0 reads its queries and keys from places alone, which no corruption changes, and its values from
the input. Everything else goes to parts of the stream that none of these read. Sums over the stream
are zero, so LayerNorm takes nothing off.
"""

import numpy as np
import torch
from circuits.ground_truth.blank import BlankGPT2
from circuits.ground_truth.truth import CORRUPTION, Truth
from transformers import PreTrainedModel

from timelapse.models.prompts import Prompts

START = 2
NAMES = range(3, 15)
WORDS = range(15, 21)
N_TOKENS, N_PLACES = 21, 10

TOKEN = slice(0, N_TOKENS)
PLACE = slice(N_TOKENS, N_TOKENS + N_PLACES)
BEFORE = slice(PLACE.stop, PLACE.stop + N_TOKENS)
TWO_BEFORE = slice(BEFORE.stop, BEFORE.stop + N_TOKENS)
SPARE = TWO_BEFORE.stop
WIDTH = SPARE + 1

SHARP = 4.0


def induction_truth() -> Truth:
    """Sixteen prompts of 8 and of 10 tokens."""
    return Truth(
        model=induction_model,
        prompts=[induction_prompts(10, 8), induction_prompts(6, 10)],
        edges=frozenset(
            {
                ("input", "a0.h0<v>"),
                ("a0.h0", "a1.h0<k>"),
                ("input", "a1.h0<q>"),
                ("input", "a1.h0<v>"),
                ("a1.h0", "logits"),
            }
        ),
        idle=frozenset({"m0", "m1"}),
    )


def induction_model(sharp: float = SHARP) -> PreTrainedModel:
    """GPT-2 of two layers with two heads each.

    Args:
        sharp: how much higher an attended place scores than all others.
    """
    blank = BlankGPT2(WIDTH, n_layers=2, n_heads=2, n_tokens=N_TOKENS, n_places=N_PLACES)
    size = WIDTH // 2
    sharp *= size**0.5
    tokens, places = torch.eye(N_TOKENS), torch.eye(N_PLACES)
    blank.embedding()[:, TOKEN] = tokens
    blank.embedding()[:, SPARE] = -1
    blank.places()[:, PLACE] = places
    blank.places()[:, SPARE] = -1
    blank.unembedding()[:, TOKEN] = tokens
    for head, (back, part) in enumerate([(1, BEFORE), (2, TWO_BEFORE)]):
        blank.query(0, head)[PLACE, :N_PLACES] = sharp * places.roll(-back, 1).tril(-back)
        blank.key(0, head)[PLACE, :N_PLACES] = places
        blank.value(0, head)[TOKEN, :N_TOKENS] = tokens
        blank.output(0, head)[:N_TOKENS, part] = tokens
        blank.output(0, head)[:N_TOKENS, SPARE] = -1
        blank.query(1, head)[TOKEN, :N_TOKENS] = sharp * tokens
        blank.key(1, head)[part, :N_TOKENS] = tokens
        read = tokens if head == 0 else tokens * (torch.arange(N_TOKENS) >= WORDS.start)
        blank.value(1, head)[TOKEN, :N_TOKENS] = read
        blank.output(1, head)[:N_TOKENS, TOKEN] = tokens
        blank.output(1, head)[:N_TOKENS, SPARE] = -1
    return blank.model


def induction_prompts(n: int, length: int) -> Prompts:
    """`. A B x C D y A` with as many words after the start as the length asks for."""
    random = np.random.default_rng((n, length))
    clean, corrupted, answers, foils = [], [], [], []
    for number in range(n):
        a, b, c, d, e, f = random.permutation(NAMES)[:6]
        x, y, z, *more = random.permutation(WORDS)
        front = [START, *more[: length - 8]]
        first, second, changed = [a, b, x], [c, d, y], [e, f, z]
        if number % 2:
            clean.append([*front, *second, *first, a])
            corrupted.append([*front, *second, *changed, e])
        else:
            clean.append([*front, *first, *second, a])
            corrupted.append([*front, *changed, *second, e])
        answers.append(b)
        foils.append([d])
    return Prompts(
        rows=np.arange(n) + 100 * length,
        tokens=torch.tensor(np.array(clean)),
        answer=torch.tensor(np.array(answers)),
        foils=torch.tensor(np.array(foils)),
        corrupted={CORRUPTION: torch.tensor(np.array(corrupted))},
        positions={},
    )
