"""The embedded model's tokenizer: one word, one token."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Sequence, Split, WhitespaceSplit
from transformers import PreTrainedTokenizerFast

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
    tokenizer.pre_tokenizer = Sequence(
        [WhitespaceSplit(), Split(Regex(f"[{''.join(MARKS)}]"), "isolated")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, eos_token=END, pad_token=END
    )
