"""When a circuit counts as transformed, and when as added."""

from math import nan

import pytest

from timelapse.circuits.comparison.verdict import Estimate, Verdict

SHARE = Estimate(0.826, 0.791, 0.858, 0.913)


def judged(relative: Estimate, **controls: Estimate) -> Verdict:
    """A share of 83 %."""
    before = Estimate(0.62, 0.5, 0.7, 0.9)
    return Verdict("ioi2", "ioi3", SHARE, SHARE, before, 0.06, relative, control(0.39), controls)


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
    found = judged(Estimate(value, low, high, 1.0))
    assert found.word == word
    assert found.sentence.startswith(
        f"**{word.capitalize()}**: 83 % (95 % interval 79–86 %) of the weight of the final ioi3 "
        "circuit lies on edges that were already in the base model's ioi2 circuit; two halves of "
        "the same final prompts share 91 %, a random circuit of that size 6 %."
    )
    assert (word == "undecided") == ("It is undecided because " in found.sentence)


def control(value: float) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, 0.9)


def test_a_share_is_no_answer_if_an_unrelated_circuit_holds_as_much() -> None:
    surely = Estimate(0.9, 0.85, 0.95, 1.0)
    assert judged(surely, months=control(0.73), numerals=control(0.1)).word == "transformed"
    found = judged(surely, months=control(0.75), numerals=control(0.1))
    assert found.word == "undecided"
    assert found.sentence.endswith(
        " It is undecided because it is not surely more than on the edges of months."
    )
    assert judged(surely, months=control(nan)).word == "undecided"


def test_a_circuit_that_shares_little_was_added_whatever_controls_share() -> None:
    assert judged(Estimate(0.2, 0.1, 0.3, 1.0), months=control(0.9)).word == "added"


def test_an_unknown_scale_is_the_reason_to_leave_it_undecided() -> None:
    found = judged(Estimate(nan, nan, nan, nan))
    assert (
        found.why_undecided == "halves of the same prompts share no more than a random circuit does"
    )


def test_the_context_names_controls_and_what_was_before() -> None:
    relative = Estimate(0.9, 0.85, 0.95, 1.0)
    found = judged(relative, months=control(0.71), repeated_words=control(0.11))
    assert found.context == (
        "On edges of the base model's circuits of unrelated tasks lies 71 % (months, 66–76 %) and "
        "11 % (repeated_words, 6–16 %) of it; before learning, the model's ioi3 circuit had 62 % "
        "of its weight on the ioi2 circuit; the chance-corrected Jaccard index of the two circuits "
        "is 0.39 (0.34 to 0.44), of halves 0.90."
    )
    alone = judged(relative)
    assert alone.context.startswith("There is no control task to hold it against; before learning")
