"""Prompts as tokens: buckets, positions, and what is refused."""

import pyarrow as pa
import pytest

from timelapse.errors import UserError
from timelapse.models.embedded import word_tokenizer
from timelapse.models.prompts import encode

TOKENIZER = word_tokenizer(["After", "John", "Mary", "Jim", "and", "went", "gave", "to", "Ann"])


def dataset(*rows: tuple[str, str, list[str], str]) -> pa.Table:
    """Rows of prompt, answer, foils, corrupted prompt; the first word is labelled `start`."""
    return pa.table(
        {
            "prompt": [prompt for prompt, *_ in rows],
            "answer": [answer for _, answer, *_ in rows],
            "foils": [foils for _, _, foils, _ in rows],
            "positions": [
                [
                    {"label": "start", "start": 0, "end": len(prompt.split()[0])},
                    {"label": "end", "start": prompt.rindex(" ") + 1, "end": len(prompt)},
                ]
                for prompt, *_ in rows
            ],
            "corrupted_flip": [corrupted for *_, corrupted in rows],
        }
    )


LONG = ("After John, Mary and Jim went", "Jim", ["John", "Mary"], "After Ann, Mary and Jim went")
SHORT = ("John and Mary gave to", "Jim", ["John", "Mary"], "John and Ann gave to")
OTHER_SHORT = ("Jim and Mary gave to", "John", ["Jim", "Mary"], "Jim and Ann gave to")


def test_prompts_of_unequal_length_go_into_buckets_of_their_own() -> None:
    buckets = encode(dataset(LONG, SHORT, OTHER_SHORT), TOKENIZER, "test")
    assert [bucket.rows.tolist() for bucket in buckets] == [[1, 2], [0]]
    assert [bucket.tokens.shape for bucket in buckets] == [(2, 5), (1, 7)]


def test_tokens_spell_the_prompt_its_corruption_answer_and_foils() -> None:
    (bucket,) = encode(dataset(SHORT), TOKENIZER, "test")
    words = TOKENIZER.convert_ids_to_tokens
    assert words(bucket.tokens[0].tolist()) == ["John", "and", "Mary", "gave", "to"]
    assert words(bucket.corrupted["flip"][0].tolist()) == ["John", "and", "Ann", "gave", "to"]
    assert words(bucket.answer.tolist()) == ["Jim"]
    assert words(bucket.foils[0].tolist()) == ["John", "Mary"]


def test_a_position_is_the_last_token_of_its_characters() -> None:
    (bucket,) = encode(dataset(LONG), TOKENIZER, "test")
    assert {label: index.tolist() for label, index in bucket.positions.items()} == {
        "start": [0],
        "end": [6],
    }


def test_batches_cut_all_tensors_alike() -> None:
    (bucket,) = encode(dataset(SHORT, OTHER_SHORT), TOKENIZER, "test")
    first, second = bucket.batches(1)
    assert first.rows.tolist() == [0] and second.rows.tolist() == [1]
    assert second.answer.equal(bucket.answer[1:])
    assert second.corrupted["flip"].equal(bucket.corrupted["flip"][1:])
    assert second.positions["end"].equal(bucket.positions["end"][1:])


@pytest.mark.parametrize(
    ("row", "key", "problem"),
    [
        (("John gave to", "Zoe", ["Mary"], "Ann gave to"), "", "does not know"),
        (("Zoe gave to", "Mary", ["John"], "Ann gave to"), "", "does not know"),
        (("John gave to", "Mary", ["John"], "Zoe gave to"), "", "does not know"),
        (("John gave to", "Mary Ann", ["John"], "Ann gave to"), "answer", "not one token"),
        (("John gave to", "Mary", ["John"], "Ann and John gave to"), "corrupted_flip", "tokens"),
        (("John gave to", "Mary", ["John"], "John gave to"), "corrupted_flip", "equals"),
    ],
)
def test_what_a_model_cannot_measure_is_refused(
    row: tuple[str, str, list[str], str], key: str, problem: str
) -> None:
    with pytest.raises(UserError) as caught:
        encode(dataset(row), TOKENIZER, "results/datasets/x/test.parquet")
    assert caught.value.key == key
    assert problem in caught.value.problem
    assert caught.value.source == "results/datasets/x/test.parquet"
