"""Documents: plain YAML in, checked data with defaults out, and one clear error for all else."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from timelapse.errors import UserError
from timelapse.files.documents import read_yaml, validated

NOT_PLAIN: list[tuple[str, bytes, str, str, str]] = [
    # what is done, the file, place, words of the problem, words of the remedy
    ("a key twice", b"a: 1\nb: 2\na: 3\n", "line 3, column 1", "'a' stands twice", "rename"),
    ("a key twice inside", b"x:\n  a: 1\n  a: 3\n", "line 3, column 3", "twice", "rename"),
    ("a key twice in a flow", b"x: {a: 1, a: 2}\n", "line 1, column 11", "twice", "rename"),
    ("a tab", b"x:\n\ta: 1\n", "line 2, column 1", "a tab", "spaces"),
    ("an open bracket", b"x: [1, 2\ny: 3\n", "line 2, column 2", "expected", "brackets"),
    ("a stray colon", b"x: y: z\n", "line 1, column 5", "mapping values", "colons"),
    ("an open quote", b"x: 'abc\n", "line 2, column 1", "quoted scalar", "quotes"),
    ("an alias", b"x: &a [1]\ny: *a\n", "line 2, column 4", "alias", "write the value out"),
    (
        "an object",
        b"x: !!python/object/apply:os.system [ls]\n",
        "line 1, column 4",
        "python",
        "text",
    ),
    ("a set", b"x: !!set {a}\n", "line 1, column 4", "'set'", "text"),
    ("a date", b"x: 2020-01-01\n", "line 1, column 4", "'timestamp'", "quotes"),
    ("an impossible date", b"x: 2020-13-45\n", "line 1, column 4", "'timestamp'", "quotes"),
    ("a number as key", b"1: x\n", "line 1, column 1", "key 1 is not text", "quotes"),
    ("yes as key", b"a:\n  yes: x\n", "line 2, column 3", "key yes is not text", "quotes"),
    ("a list as key", b"? [a]\n: x\n", "line 1, column 3", "not text", "quotes"),
    ("a merge", b"<<: {a: 1}\n", "line 1, column 1", "not text", "quotes"),
    ("two documents", b"a: 1\n---\nb: 2\n", "line 2, column 1", "another document", "check"),
    ("a list", b"- a\n", "", "a list was found", "key"),
    ("a word", b"hello\n", "", "text ('hello') was found", "key"),
    ("nothing", b"", "", "null was found", "key"),
    ("a number too long to read", b"x: " + b"9" * 5000, "line 1, column 4", "64 bits", "smaller"),
    ("a long number of base 16", b"x: 0x" + b"f" * 20, "line 1, column 4", "64 bits", "smaller"),
    ("no boolean", b"x: !!bool maybe\n", "line 1, column 4", "'bool'", "text"),
    ("no text", b"x: \xff\xfe\x00\x01\n", "", "not UTF-8", "UTF-8"),
    ("another encoding", "x: 1".encode("utf-16"), "", "not UTF-8", "UTF-8"),
    ("a million characters", b"x: " + b"y" * 1_000_000, "", "1,000,003 bytes", "shorten"),
    ("a control character", b"x: \x07\n", "", "not valid YAML", "UTF-8"),
    ("a deep nest", b"x: " + b"[" * 5000, "", "nested too deeply", "flatten"),
]


@pytest.mark.parametrize(
    ("content", "place", "problem", "remedy"),
    [row[1:] for row in NOT_PLAIN],
    ids=[row[0] for row in NOT_PLAIN],
)
def test_yaml_that_is_not_plain_data_is_refused_with_its_place(
    tmp_path: Path, content: bytes, place: str, problem: str, remedy: str
) -> None:
    path = tmp_path / "document.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    error = caught.value
    assert (error.source, error.key) == (str(path), place)
    assert problem in error.problem
    assert remedy.lower() in error.remedy.lower()
    assert error.remedy[0].isupper()


@pytest.mark.parametrize("name", ["absent.yaml", ".", "absent/document.yaml"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="the file cannot be read"):
        read_yaml(tmp_path / name)


def test_plain_data_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "document.yaml"
    path.write_text('a: [1, 2.5, "3", true, null]\nb: {c: größe}\n', encoding="utf-8")
    assert read_yaml(path) == {"a": [1, 2.5, "3", True, None], "b": {"c": "größe"}}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["rate"],
    "additionalProperties": False,
    "$defs": {
        "training": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "steps": {"type": "integer", "default": 184, "minimum": 1},
                "rates": {"type": "array", "items": {"type": "number"}},
            },
        }
    },
    "properties": {
        "rate": {"type": "number", "exclusiveMinimum": 0, "description": "the step size"},
        "kind": {"enum": ["constant", "linear"], "default": "constant"},
        "training": {"$ref": "#/$defs/training", "default": {}},
        "runs": {"type": "object", "additionalProperties": {"$ref": "#/$defs/training"}},
        "every": {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "never"}]},
        "seed": {"type": ["integer", "null"]},
        "title": {"type": "string"},
        "batch": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
    },
}


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "study.schema.yaml"
    path.write_text(yaml.safe_dump(SCHEMA))
    return path


def test_defaults_are_filled_in_at_every_depth(schema: Path) -> None:
    document = {"rate": 0.1, "runs": {"short": {}, "long": {"steps": 900}}}
    assert validated(document, schema, "config.yaml") == {
        "rate": 0.1,
        "kind": "constant",
        "training": {"steps": 184},
        "runs": {"short": {"steps": 184}, "long": {"steps": 900}},
    }
    assert document == {"rate": 0.1, "runs": {"short": {}, "long": {"steps": 900}}}


def test_defaults_are_not_shared_between_documents(schema: Path) -> None:
    validated({"rate": 1}, schema, "config.yaml")["training"]["steps"] = 5
    assert validated({"rate": 1}, schema, "config.yaml")["training"]["steps"] == 184


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("rate", "1e-4", 1e-4),
        ("rate", "5E-6", 5e-6),
        ("rate", ".5", 0.5),
        ("training", {"steps": "1e3"}, {"steps": 1000}),
        ("training", {"steps": 20.0}, {"steps": 20}),
        ("training", {"rates": ["1e-4", 2]}, {"steps": 184, "rates": [1e-4, 2]}),
        ("every", "8", 8),
        ("every", "never", "never"),
        ("seed", "7", 7),
        ("seed", None, None),
        ("title", "1e-4", "1e-4"),
    ],
)
def test_a_numeral_becomes_a_number_only_where_a_number_is_wanted(
    schema: Path, key: str, written: Any, meant: Any
) -> None:
    value = validated({"rate": 1, key: written}, schema, "config.yaml")[key]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize(
    ("changes", "key", "problem", "remedy"),
    [
        ({"rat": 1}, "rat", "unknown key 'rat'", "did you mean 'rate'? The choices are: batch"),
        ({"runs": {"a": {"step": 3}}}, "runs.a.step", "unknown key", "did you mean 'steps'?"),
        ({"rate": None}, "rate", "a number is wanted, the value null was found", "the step size"),
        ({"rate": "fast"}, "rate", "a number is wanted, text ('fast')", "the step size"),
        ({"rate": "0x1f"}, "rate", "a number is wanted", "the step size"),
        ({"rate": True}, "rate", "a number is wanted, the value true was found", "the step size"),
        ({"rate": float("nan")}, "rate", "a number is wanted, the number nan", "the step size"),
        ({"rate": "1e999"}, "rate", "a number is wanted, the number inf", "the step size"),
        ({"rate": 0}, "rate", "0 is too small", "use more than 0"),
        (
            {"kind": "lineer"},
            "kind",
            "'lineer' is not one of the choices",
            "did you mean 'linear'?",
        ),
        ({"kind": 3}, "kind", "3 is not one of the choices", "constant, linear"),
        (
            {"training": {"steps": 1.5}},
            "training.steps",
            "a whole number is wanted",
            "whole number",
        ),
        ({"training": {"rates": [1, "x"]}}, "training.rates[1]", "a number is wanted", "a number"),
        ({"training": None}, "training", "a mapping (key: value) is wanted", "a mapping"),
        ({"title": 7}, "title", "text is wanted, a whole number (7) was found", "in quotes"),
        ({"every": "often"}, "every", "'often'", ""),
        ({"batch": "x" * 500}, "batch", "xxx...", ""),
    ],
)
def test_a_violation_is_explained_in_plain_words(
    schema: Path, changes: dict[str, Any], key: str, problem: str, remedy: str
) -> None:
    with pytest.raises(UserError) as caught:
        validated({"rate": 1, **changes}, schema, "config.yaml")
    error = caught.value
    assert (error.source, error.key) == ("config.yaml", key)
    assert problem in error.problem
    assert remedy.lower() in error.remedy.lower()
    assert error.remedy[0].isupper()
    assert len(str(error)) < 300


def test_a_missing_key_is_named_with_its_meaning(schema: Path) -> None:
    with pytest.raises(UserError, match=r"config.yaml: rate: the key is missing.*the step size"):
        validated({}, schema, "config.yaml")


def test_a_misspelt_key_is_reported_before_the_key_that_it_leaves_missing(schema: Path) -> None:
    with pytest.raises(UserError, match="Did you mean 'rate'"):
        validated({"raet": 1}, schema, "config.yaml")
