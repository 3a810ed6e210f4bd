"""Settings: plain data in, typed values out, and every mistake in plain words."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from timelapse.errors import UserError
from timelapse.files.validation import Name, StrictModel, Unique, validate


class Training(StrictModel):
    """How it is trained."""

    steps: int = Field(184, ge=1)
    rates: tuple[float, ...] = ()


class Settings(StrictModel):
    """A study of nothing."""

    rate: float = Field(gt=0, le=10)
    """the step size"""
    kind: Literal["constant", "linear"] = "constant"
    training: Training = Training()
    runs: dict[Name, Training] = Field({})
    every: Literal["never"] | Annotated[int, Field(ge=1)] = "never"
    seed: int | None = None
    title: str = ""
    batch: int | bool = 1
    draws: str | Training = ""
    words: Annotated[tuple[str, ...], Field(min_length=1, max_length=2), Unique()] = ("a",)
    code: str = Field("", pattern="^[a-z]*$", min_length=0, max_length=5)


def read(document: dict[str, Any]) -> Settings:
    return validate(Settings, document, lambda path: "config.yaml")


def mistakes(document: dict[str, Any]) -> list[UserError]:
    with pytest.raises(UserError) as caught:
        read(document)
    return list(caught.value.each)


def test_defaults_are_filled_in_at_every_depth() -> None:
    document = {"rate": 0.1, "runs": {"short": {}, "long": {"steps": 900}}}
    settings = read(document)
    assert (settings.kind, settings.training.steps) == ("constant", 184)
    assert {name: run.steps for name, run in settings.runs.items()} == {"short": 184, "long": 900}
    assert document == {"rate": 0.1, "runs": {"short": {}, "long": {"steps": 900}}}


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("rate", "1e-4", 1e-4),
        ("rate", "2e-5", 2e-5),
        ("rate", "5E-6", 5e-6),
        ("rate", ".5", 0.5),
        ("rate", 2, 2.0),
        ("training", {"steps": "1e3"}, {"steps": 1000}),
        ("training", {"steps": 20.0}, {"steps": 20}),
        ("training", {"rates": ["1e-4", 2]}, {"rates": (1e-4, 2.0)}),
        ("every", "8", 8),
        ("every", "never", "never"),
        ("seed", "7", 7),
        ("seed", 7, 7),
        ("title", "1e-4", "1e-4"),
        ("batch", True, True),
    ],
)
def test_a_numeral_becomes_a_number_only_where_a_number_is_wanted(
    key: str, written: Any, meant: Any
) -> None:
    value = getattr(read({"rate": 1, key: written}), key)
    if isinstance(meant, dict):
        value = value.model_dump(exclude_unset=True)
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize(
    ("changes", "key", "problem", "remedy"),
    [
        ({"rat": 1}, "rat", "unknown key 'rat'", "did you mean 'rate'? The choices are: batch"),
        ({"runs": {"a": {"step": 3}}}, "runs.a.step", "unknown key", "did you mean 'steps'?"),
        ({"runs": {"a b": {}}}, "runs.a b", "'a b' is no valid name here", "starting with a"),
        ({"runs": {"a" * 41: {}}}, f"runs.{'a' * 41}", "is no valid name", "up to 40 letters"),
        ({"rate": None}, "rate", "a number is wanted, the value null was found", "the step size"),
        ({"rate": "fast"}, "rate", "a number is wanted, text ('fast')", "the step size"),
        ({"rate": "0x1f"}, "rate", "a number is wanted", "the step size"),
        ({"rate": "\u0661"}, "rate", "a number is wanted", "the step size"),
        ({"rate": "1_0"}, "rate", "a number is wanted", "the step size"),
        ({"rate": True}, "rate", "a number is wanted, the value true was found", "the step size"),
        ({"rate": float("nan")}, "rate", "a number is wanted, the number nan", "the step size"),
        ({"rate": "1e999"}, "rate", "a number is wanted, the number inf", "the step size"),
        ({"rate": 0}, "rate", "0 is too small", "use more than 0"),
        ({"rate": 11}, "rate", "11 is too large", "use at most 10"),
        ({"kind": "lineer"}, "kind", "'lineer' is not one of the", "did you mean 'linear'?"),
        ({"kind": 3}, "kind", "3 is not one of the choices", "constant, linear"),
        ({"training": {"steps": 1.5}}, "training.steps", "a whole number is wanted", "whole"),
        ({"training": {"rates": [1, "x"]}}, "training.rates[1]", "a number is wanted", "number"),
        ({"training": None}, "training", "a mapping (key: value) is wanted", "a mapping"),
        ({"training": [1]}, "training", "a mapping (key: value) is wanted, a list", "a mapping"),
        ({"title": 7}, "title", "text is wanted, a whole number (7) was found", "in quotes"),
        ({"every": "often"}, "every", "'never' or a whole number is wanted", ""),
        ({"every": 0}, "every", "0 is too small", "use at least 1"),
        ({"seed": None}, "seed", "the value null was found", "remove the key"),
        ({"seed": "x"}, "seed", "a whole number is wanted", ""),
        ({"batch": "x" * 500}, "batch", "xxx...", ""),
        ({"draws": 3}, "draws", "text or a mapping (key: value) is wanted", "in quotes"),
        ({"draws": {"stepps": 3}}, "draws.stepps", "unknown key", "'steps'"),
        ({"words": ["a", "a"]}, "words", "'a' stands twice in the list", "remove one"),
        ({"words": []}, "words", "too few entries (0)", "at least 1"),
        ({"words": ["a", "b", "c"]}, "words", "too many entries (3)", "at most 2"),
        ({"words": "ab"}, "words", "a list is wanted, text ('ab') was found", "a list"),
        ({"code": "A"}, "code", "'A' does not have the form wanted here", ""),
        ({"code": "aaaaaa"}, "code", "too long a text (6)", "at most 5 characters"),
        ({"code": "\ud800"}, "code", "does not have the form wanted here", ""),
    ],
)
def test_a_violation_is_explained_in_plain_words(
    changes: dict[str, Any], key: str, problem: str, remedy: str
) -> None:
    (error,) = mistakes({"rate": 1, **changes})
    assert (error.source, error.key) == ("config.yaml", key)
    assert problem in error.problem
    assert remedy.lower() in error.remedy.lower()
    assert error.remedy[0].isupper()
    assert len(str(error)) < 300


def test_a_missing_key_is_named_with_its_meaning() -> None:
    (error,) = mistakes({})
    assert "config.yaml: rate: the key is missing. Add it (the step size)" in str(error)


def test_a_misspelt_key_is_reported_without_the_key_that_it_leaves_missing() -> None:
    (error,) = mistakes({"raet": 1})
    assert "Did you mean 'rate'" in error.remedy


def test_all_mistakes_are_told_at_once_a_line_each_and_unknown_keys_first() -> None:
    errors = mistakes({"rate": 0, "kinds": 1, "training": {"steps": 0, "x": 1}, "title": 1})
    assert [error.key for error in errors] == [
        *("training.x", "kinds", "rate", "training.steps", "title"),
    ]
    with pytest.raises(UserError) as caught:
        read({"rate": 0, "kinds": 1})
    assert str(caught.value).splitlines() == [str(error) for error in caught.value.each]


def test_very_many_mistakes_are_counted() -> None:
    with pytest.raises(UserError, match=r"and 30 more mistakes") as caught:
        read({"rate": 1, "training": {"rates": ["x"] * 50}})
    assert len(str(caught.value).splitlines()) == 21


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read({"rate": 1}).rate = 2  # type: ignore[misc]
