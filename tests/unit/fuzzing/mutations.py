"""Broken copies of a document: of what it says, and of the text that says it."""

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from fuzzing import junk


def broken(text: str, rng: random.Random) -> bytes:
    """The text of a YAML document with one to three faults of one kind, structure or text."""
    if rng.random() < 0.6:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
        for _ in range(rng.choice((1, 1, 2, 3))):
            document = _changed(document, rng)
        if rng.random() < 0.5:  # JSON is YAML, but Snakemake reads it by another reader
            return json.dumps(document, indent=1).encode()
        return yaml.safe_dump(document, sort_keys=False, width=10**6).encode()
    content = text.encode()
    for _ in range(rng.choice((1, 1, 2))):
        content = rng.choice(_TEXTUAL)(content, rng)
    return content


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a document, but for the whole."""
    inside = document.items() if isinstance(document, dict) else enumerate(document)
    for key, inner in inside:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def _changed(document: Any, rng: random.Random) -> Any:
    """A copy in which one place is deleted, renamed, doubled, swapped or filled with junk."""
    document = copy.deepcopy(document)
    there = list(places(document)) if isinstance(document, dict | list) else []
    if not there or rng.random() < 0.01:
        return junk.value(rng)
    path = rng.choice([path for path in there if len(path) == rng.choice((1, 2, 3))] or there)
    box = document
    for key in path[:-1]:
        box = box[key]
    rng.choice(_STRUCTURAL)(box, path[-1], rng, document)
    return document


def _delete(box: Any, key: Any, rng: random.Random, whole: Any) -> None:
    del box[key]


def _replace(box: Any, key: Any, rng: random.Random, whole: Any) -> None:
    box[key] = junk.value(rng)


def _rename(box: Any, key: Any, rng: random.Random, whole: Any) -> None:
    held = box[key]
    if isinstance(box, list):
        box[key] = junk.name(rng)
        return
    del box[key]
    box[rng.choice((junk.name(rng), f"{key}x", str(key)[1:], str(key).upper()))] = held


def _add(box: Any, key: Any, rng: random.Random, whole: Any) -> None:
    if isinstance(box, list):
        box.append(rng.choice((box[key], junk.value(rng))))
    else:
        box[junk.name(rng)] = rng.choice((box[key], junk.value(rng)))


def _swap(box: Any, key: Any, rng: random.Random, whole: Any) -> None:
    """Two places of the document change what they hold, such as two roles of a task."""
    other = rng.choice(list(places(whole)))
    far = whole
    for part in other[:-1]:
        far = far[part]
    mine, theirs = copy.deepcopy(box[key]), copy.deepcopy(far[other[-1]])
    box[key] = theirs
    if far is not box[key]:
        far[other[-1]] = mine


def _cut(box: Any, key: Any, rng: random.Random, whole: Any) -> None:
    """A text with a character less or more, a number that is larger or smaller."""
    held = box[key]
    if isinstance(held, str) and held:
        at = rng.randrange(len(held))
        box[key] = (
            held[:at] + rng.choice(("", "{", "}", " ", "\n", ".", "\0", "x")) + held[at + 1 :]
        )
    elif isinstance(held, int | float):
        box[key] = rng.choice((held * 10**9, -held, held / 7, str(held), held + 0.5))
    else:
        box[key] = junk.value(rng)


_STRUCTURAL: tuple[Callable[[Any, Any, random.Random, Any], None], ...] = (
    *(_delete, _replace, _replace, _replace, _rename, _rename, _add, _swap, _cut),
)


def _inserted(content: bytes, what: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + what + content[at:]


def _flip(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _insert(content: bytes, rng: random.Random) -> bytes:
    return _inserted(content, rng.choice(_PIECES), rng)


def _before_a_value(content: bytes, rng: random.Random) -> bytes:
    """A tag, an anchor, an alias or another odd start before a value."""
    ends = [match.end() for match in re.finditer(rb": (?=\S)", content)]
    at = rng.choice(ends or [0])
    return content[:at] + rng.choice(_STARTS) + content[at:]


def _a_line(content: bytes, rng: random.Random) -> bytes:
    """A line doubled, dropped, moved by a blank or a tab, or put beside a line of junk."""
    lines = content.split(b"\n")
    at = rng.randrange(len(lines))
    change = rng.randrange(5)
    if change == 0:
        lines.insert(at, lines[at])
    elif change == 1:
        del lines[at]
    elif change == 2:
        lines[at] = rng.choice((b" ", b"\t", b"- ", b"   ")) + lines[at]
    elif change == 3:
        lines[at] = lines[at].lstrip()
    else:
        indent = re.match(rb" *", lines[at])
        lines.insert(at, (indent.group() if indent else b"") + rng.choice(_LINES))
    return b"\n".join(lines)


def _encoded(content: bytes, rng: random.Random) -> bytes:
    """Another encoding, line ends of another system, a byte order mark."""
    text = content.decode("utf-8", "replace")
    return rng.choice(
        (
            text.encode("utf-16"),
            text.encode("utf-32"),
            b"\xef\xbb\xbf" + content,
            b"\xef\xbb\xbf" * 2 + content,
            content.replace(b"\n", b"\r\n"),
            content.replace(b"\n", b"\r"),
            content.replace(b"e", b"\xe9", 3),
        )
    )


def _whole(content: bytes, rng: random.Random) -> bytes:
    """Something else altogether."""
    return rng.choice(_WHOLE)


def _bomb() -> bytes:
    rows = [b'a: &a ["x","x","x","x","x","x","x","x","x"]']
    for before, name in zip(b"abcdefgh", b"bcdefghi", strict=True):
        rows.append(b"%c: &%c [%s]" % (name, name, b",".join([b"*%c" % before] * 9)))
    return b"\n".join(rows) + b"\n"


_PIECES = (
    *(b"\t", b"\n\t", b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\x1b[2J", b"\x07", b"\x85"),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"'",
        b": ",
        b"- ",
        b"#",
        b"|\n",
        b">",
        b"%",
        b"@",
        b"`",
        b"? ",
    ),
    *(b"\n---\n", b"\n...\n", b"\n%YAML 9.9\n---\n", b"[" * 3000, b"{" * 3000, b"? " * 500),
)
_STARTS = (
    *(b"!!python/object/apply:os.system ", b"!!python/name:os.system ", b"!!python/tuple "),
    *(b"!!python/object/new:os.system ", b"!!binary ", b"!!set ", b"!!omap ", b"!own ", b"!<x> "),
    *(b"&a ", b"*a ", b"!!str ", b"!!int ", b"!!float ", b"!!bool ", b"!!null ", b"!!timestamp "),
    *(b"2020-01-01 ", b"0o777 ", b"1:30:00 ", b"0b", b"0x", b"~ ", b"@", b"`", b"%", b"| ", b"- "),
    *(b"!!int 0x" + b"f" * 6000 + b" #", b"0x" + b"f" * 6000 + b" #", b"9" * 6000 + b" #"),
    *(b"0b" + b"1" * 30000 + b" #", b"-1:59:59 #", b"1" + b":59" * 3000 + b" #"),
)
_LINES = (
    *(b"<<: {a: 1}", b"<<: *a", b"__use_yte__: true", b"? [a, b]", b"1: 2", b"null: 1", b"yes: 1"),
    *(b"!!python/object/apply:os.system [x]: 1", b"2020-01-01: 1", b"&a b: *a", b"{}: 1", b"..: 1"),
    *(b"x: !!python/object/apply:os.system ['x']", b'"\\0": 1', b'"a\\nb": 1', b'"\\uD800": 1'),
)
_WHOLE = (
    *(b"", b"\n", b"# nothing\n", b"null", b"[]", b"- a\n- b\n", b"text", b"42", b"{}", b"\0" * 9),
    *(
        b"!!python/object/apply:os.system ['x']",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"PAR1",
        b"\x80\x04K\x01.",
    ),
    *(b"\x80\x04K\x01.", b"{" * 20_000, b"[" * 20_000, b"a: " * 20_000, b"- " * 20_000, _bomb()),
    *(b'{"a": ' * 5_000,),
    *(b"__use_yte__: true\n?'x'\n", b"a: 1\n" * 2_000, b"x" * 100_000, b"x: " + b"'" * 99_999),
)
_TEXTUAL: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip, _truncate, _insert, _insert, _before_a_value, _before_a_value, _a_line, _a_line),
    *(_encoded, _whole),
)
