"""Looking up by hand: a head copies the digit or letter that is asked for, an MLP answers.

The prompts are `. u 3 v b w #`, in either order of digit and letter and with or without two more
words in front. `#` asks for the digit, `$` for the letter; every digit and letter has an answer
token. In the corrupted prompts `#` is `$`, the digit's place has a letter and the letter's place a
digit, and u and w are other words: `. r c v 1 s $`. The foils are the answer to the corrupted
prompt and, in the shorter prompts, that to the other symbol of the clean one.

The stream has a part for the token, one for what a0.h1 copied, and others for distractors:

- a0.h1 attends from `#` to digits and from `$` to letters, sharp but not saturated, and writes the
  symbol found there as the copied symbol;
- m1 has a neuron for every symbol, which is active only if that symbol was copied and its own kind
  is asked for, and writes its answer: it multiplies (gated) or has a threshold (biased);
- a0.h0 attends to words and writes their mean into a part that only m0 reads; where heads share
  keys and values, it shares those of a0.h1, attends everywhere and writes the symbols it sees
  there (and a0.h2 attends to words);
- m0 writes which word was both copied and stands here into a part that only a1.h0 reads;
- a1.h0 writes that, and the mean of all words, to the logits of words;
- a1.h1 reads what a0.h1 copied and writes it into a part that nothing reads.

So the logit difference comes from m1 at the last place alone. Each of these on its own leaves the
answer's neuron inactive, or gives the foil's answer:

- m1 -> logits;
- what m1 reads: the copied symbol from a0.h1, the kind asked for from the input (the last token);
- what a0.h1 reads from the input: queries (the kind asked for), keys (where that kind stands),
  values (which symbol stands there).

Sums over the stream are zero, so LayerNorm takes nothing off.
"""

import numpy as np
import torch
from circuits.ground_truth.blank import Blank, BlankGPT2, BlankLlama, BlankNeoX
from circuits.ground_truth.truth import CORRUPTION, Truth
from transformers import PreTrainedModel

from timelapse.models.prompts import Prompts

START = 2
DIGITS, LETTERS, ANSWERS = range(3, 8), range(8, 13), range(13, 23)
SYMBOLS = range(DIGITS.start, LETTERS.stop)
ASK_DIGIT, ASK_LETTER = 23, 24
WORDS = range(25, 33)
N_TOKENS, N_PLACES = 33, 10
N_SYMBOLS, N_WORDS = len(SYMBOLS), len(WORDS)

COPIED = slice(N_TOKENS, N_TOKENS + N_SYMBOLS)
SEEN = slice(COPIED.stop, COPIED.stop + N_WORDS)
REPEATED = slice(SEEN.stop, SEEN.stop + N_WORDS)
UNREAD = slice(REPEATED.stop, REPEATED.stop + N_SYMBOLS)
WIDTH = 80
SPARE = WIDTH - 1

SHARP = 4.0
THRESHOLD = 1.3
"""Of the sum of copied and asked for, each at most 1."""


def lookup_truths() -> dict[str, Truth]:
    """The same circuit in three architectures, by name: sixteen prompts of 7 and of 9 tokens."""
    edges = frozenset(
        {
            ("input", "a0.h1<q>"),
            ("input", "a0.h1<k>"),
            ("input", "a0.h1<v>"),
            ("a0.h1", "m1"),
            ("input", "m1"),
            ("m1", "logits"),
        }
    )
    shared = {("input", "a0.h1<k>"): "a0.h0<k>", ("input", "a0.h1<v>"): "a0.h0<v>"}
    grouped = frozenset((source, shared.get((source, target), target)) for source, target in edges)
    prompts = [lookup_prompts(10, 7, foils=2), lookup_prompts(6, 9, foils=1)]
    idle = frozenset({"a0.h3", "a1.h1", "a1.h3"})
    return {
        "lookup, GPT-2": Truth(gpt2_lookup, prompts, edges, frozenset()),
        "lookup, GPT-NeoX": Truth(neox_lookup, prompts, edges, frozenset()),
        "lookup, Llama": Truth(llama_lookup, prompts, grouped, idle),
    }


def gpt2_lookup() -> PreTrainedModel:
    """GPT-2 of two layers with two heads each."""
    blank = BlankGPT2(WIDTH, n_layers=2, n_heads=2, n_tokens=N_TOKENS, n_places=N_PLACES)
    _write_tokens(blank)
    _write_heads(blank)
    _write_biased_neurons(blank)
    return blank.model


def neox_lookup() -> PreTrainedModel:
    """GPT-NeoX of two layers with two heads each."""
    blank = BlankNeoX(WIDTH, n_layers=2, n_heads=2, n_tokens=N_TOKENS, n_places=N_PLACES)
    _write_tokens(blank)
    _write_heads(blank)
    _write_biased_neurons(blank)
    return blank.model


def llama_lookup() -> PreTrainedModel:
    """Llama of two layers, four heads and two key/value heads each.

    a0.h0 and a0.h1 share keys and values; so do a0.h2 and a0.h3, of which the latter is idle.
    """
    blank = BlankLlama(WIDTH, n_layers=2, n_heads=4, n_tokens=N_TOKENS, n_places=N_PLACES)
    _write_tokens(blank)
    _write_lookup_head(blank, head=1, kv_head=0)
    blank.output(0, 0)[:N_SYMBOLS, UNREAD] = torch.eye(N_SYMBOLS)
    blank.output(0, 0)[:N_SYMBOLS, SPARE] = -1
    _write_word_head(blank, head=2, kv_head=1)
    _write_late_heads(blank, heads=(0, 2))
    words, symbols = torch.eye(N_WORDS), torch.eye(N_SYMBOLS)
    neurons = slice(0, N_WORDS)
    blank.mlp_gate(0)[_part(WORDS), neurons] = 4 * words
    blank.mlp_in(0)[SEEN, neurons] = words
    _write_neurons_out(blank, 0, words, REPEATED)
    neurons = slice(0, N_SYMBOLS)
    blank.mlp_gate(1)[COPIED, neurons] = 4 * symbols
    blank.mlp_in(1)[[ASK_DIGIT, ASK_LETTER], neurons] = _kind_of_symbol()
    _write_neurons_out(blank, 1, symbols, _part(ANSWERS))
    return blank.model


def _part(tokens: range) -> slice:
    return slice(tokens.start, tokens.stop)


def _kind_of_symbol() -> torch.Tensor:
    """Whether a symbol is a digit, and whether it is a letter."""
    is_digit = torch.arange(N_SYMBOLS) < len(DIGITS)
    return torch.stack([is_digit, ~is_digit]).float()


def _write_tokens(blank: Blank) -> None:
    blank.embedding()[:, :N_TOKENS] = torch.eye(N_TOKENS)
    blank.embedding()[:, SPARE] = -1
    blank.unembedding()[:, :N_TOKENS] = torch.eye(N_TOKENS)


def _write_heads(blank: Blank) -> None:
    _write_lookup_head(blank, head=1, kv_head=1)
    _write_word_head(blank, head=0, kv_head=0)
    _write_late_heads(blank, heads=(0, 1))


def _write_lookup_head(blank: Blank, head: int, kv_head: int) -> None:
    """Queries and keys use the last dimensions, which rotary positions leave alone."""
    query, key = blank.query(0, head), blank.key(0, kv_head)
    query[[ASK_DIGIT, ASK_LETTER], -2:] = SHARP * key.shape[1] ** 0.5 * torch.eye(2)
    key[_part(SYMBOLS), -2:] = _kind_of_symbol().T
    blank.value(0, kv_head)[_part(SYMBOLS), :N_SYMBOLS] = torch.eye(N_SYMBOLS)
    blank.output(0, head)[:N_SYMBOLS, COPIED] = torch.eye(N_SYMBOLS)
    blank.output(0, head)[:N_SYMBOLS, SPARE] = -1


def _write_word_head(blank: Blank, head: int, kv_head: int) -> None:
    """From every token to words."""
    query, key = blank.query(0, head), blank.key(0, kv_head)
    query[:N_TOKENS, -1] = SHARP * key.shape[1] ** 0.5
    key[_part(WORDS), -1] = 1
    blank.value(0, kv_head)[_part(WORDS), :N_WORDS] = torch.eye(N_WORDS)
    blank.output(0, head)[:N_WORDS, SEEN] = torch.eye(N_WORDS)
    blank.output(0, head)[:N_WORDS, SPARE] = -1


def _write_late_heads(blank: Blank, heads: tuple[int, int]) -> None:
    """Both attend everywhere. Of shared values, the first pair of heads takes the first."""
    words, symbols = torch.eye(N_WORDS), torch.eye(N_SYMBOLS)
    first, second = heads
    blank.value(1, 0)[_part(WORDS), :N_WORDS] = words
    blank.value(1, 0)[REPEATED, :N_WORDS] = words
    blank.output(1, first)[:N_WORDS, _part(WORDS)] = words
    blank.output(1, first)[:N_WORDS, SPARE] = -1
    blank.value(1, 1)[COPIED, :N_SYMBOLS] = symbols
    blank.output(1, second)[:N_SYMBOLS, UNREAD] = symbols
    blank.output(1, second)[:N_SYMBOLS, SPARE] = -1


def _write_biased_neurons(blank: BlankGPT2 | BlankNeoX) -> None:
    words, symbols = torch.eye(N_WORDS), torch.eye(N_SYMBOLS)
    neurons = slice(0, N_WORDS)
    blank.mlp_in(0)[_part(WORDS), neurons] = 4 * words
    blank.mlp_in(0)[SEEN, neurons] = 4 * words
    blank.mlp_bias(0)[neurons] = -4 * THRESHOLD
    _write_neurons_out(blank, 0, words, REPEATED)
    neurons = slice(0, N_SYMBOLS)
    blank.mlp_in(1)[COPIED, neurons] = 4 * symbols
    blank.mlp_in(1)[[ASK_DIGIT, ASK_LETTER], neurons] = 4 * _kind_of_symbol()
    blank.mlp_bias(1)[neurons] = -4 * THRESHOLD
    _write_neurons_out(blank, 1, symbols, _part(ANSWERS))


def _write_neurons_out(blank: Blank, layer: int, identity: torch.Tensor, part: slice) -> None:
    neurons = slice(0, len(identity))
    blank.mlp_out(layer)[neurons, part] = identity
    blank.mlp_out(layer)[neurons, SPARE] = -1


def lookup_prompts(n: int, length: int, foils: int) -> Prompts:
    """`. u 3 v b w #` with as many words after the start as the length asks for."""
    random = np.random.default_rng((n, length))
    clean, corrupted, answers, wrong = [], [], [], []
    for number in range(n):
        digit, other_digit = random.permutation(DIGITS)[:2]
        letter, other_letter = random.permutation(LETTERS)[:2]
        u, v, w, r, s, *more = random.permutation(WORDS)
        front = [START, *more[: length - 7]]
        asked, found, elsewhere = ASK_DIGIT, (digit, letter), (other_letter, other_digit)
        ask_other = ASK_LETTER
        if number % 2:
            found, elsewhere = found[::-1], elsewhere[::-1]
        answer, other, foil = digit, letter, other_letter
        if number // 2 % 2:
            asked, ask_other = ask_other, asked
            answer, other, foil = letter, digit, other_digit
        clean.append([*front, u, found[0], v, found[1], w, asked])
        corrupted.append([*front, r, elsewhere[0], v, elsewhere[1], s, ask_other])
        answers.append(answer - SYMBOLS.start + ANSWERS.start)
        wrong.append([symbol - SYMBOLS.start + ANSWERS.start for symbol in (foil, other)[:foils]])
    return Prompts(
        rows=np.arange(n) + 100 * length,
        tokens=torch.tensor(np.array(clean)),
        answer=torch.tensor(np.array(answers)),
        foils=torch.tensor(np.array(wrong)),
        corrupted={CORRUPTION: torch.tensor(np.array(corrupted))},
        positions={},
    )
