"""The embedded model's tokenizer and training rows."""

import numpy as np

from timelapse.models.embedded import END, UNKNOWN, mixture_rows, word_tokenizer

TOKENIZER = word_tokenizer(["a", "b", "c", "one", "two"])
TEXTS = {"letters": ["a b", "b a", "c, a"], "numbers": ["one two one", "two one two"]}


def rows(seed: int = 0, weights: dict[str, float] | None = None, n: int = 400) -> np.ndarray:
    return mixture_rows(
        TEXTS,
        weights or {"letters": 3.0, "numbers": 1.0},
        TOKENIZER,
        n,
        8,
        np.random.default_rng(seed),
    )


def texts_of(row: np.ndarray) -> list[str]:
    return TOKENIZER.decode(row).split(END)


def test_a_word_is_a_token_and_a_comma_is_one_of_its_own() -> None:
    assert TOKENIZER.tokenize("c, a") == ["c", ",", "a"]
    assert TOKENIZER.tokenize("zebra a") == [UNKNOWN, "a"]


def test_rows_are_whole_texts_with_only_the_last_one_cut_off() -> None:
    known = {" ".join(TOKENIZER.tokenize(text)) for texts in TEXTS.values() for text in texts}
    for row in rows():
        *whole, last = [text.strip() for text in texts_of(row)]
        assert whole and set(whole) <= known
        assert any(text.startswith(last) for text in known)


def test_tasks_are_drawn_by_their_weights() -> None:
    first = [texts_of(row)[0].strip() for row in rows(n=2000)]
    share = np.mean([text[0] in "abc" for text in first])
    assert abs(share - 0.75) < 0.03


def test_rows_come_from_the_generator_alone() -> None:
    assert np.array_equal(rows(seed=1), rows(seed=1))
    assert not np.array_equal(rows(seed=1), rows(seed=2))
