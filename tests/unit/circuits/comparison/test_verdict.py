"""When a circuit counts as transformed, and when as added."""

from math import nan

import pytest

from timelapse.circuits.comparison.verdict import Estimate, Verdict


@pytest.mark.parametrize(
    ("value", "low", "high", "word"),
    [
        (0.8, 0.51, 0.9, "transformed"),
        (0.8, 0.49, 0.9, "undecided"),
        (0.2, 0.1, 0.49, "added"),
        (0.2, 0.1, 0.51, "undecided"),
        (nan, nan, nan, "undecided"),
    ],
)
def test_the_whole_interval_must_lie_on_one_side_of_a_half(
    value: float, low: float, high: float, word: str
) -> None:
    share = Estimate(0.826, 0.791, 0.858, 0.913)
    relative = Estimate(value, low, high, 1.0)
    found = Verdict("ioi2", "ioi3", share, share, share, 0.06, relative)
    assert found.word == word
    assert found.sentence == (
        f"**{word.capitalize()}**: 83 % (95 % interval 79–86 %) of the weight of the final ioi3 "
        "circuit lies on edges that were already in the base model's ioi2 circuit; two halves of "
        "the same final prompts share 91 %, a random circuit of that size 6 %."
    )
