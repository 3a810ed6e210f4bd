"""Documents: plain YAML in, plain data out, and one clear error for all else."""

from pathlib import Path

import pytest

from timelapse.errors import UserError
from timelapse.files.documents import read_yaml

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
