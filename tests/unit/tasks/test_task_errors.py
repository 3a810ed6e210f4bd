"""A task that cannot work is refused with one error: the file, the key, the problem, the remedy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from timelapse.errors import UserError
from timelapse.tasks.spec import load_spec

FOLLOWS_SELF = {"follows": "place"}
REFUSED: list[tuple[str, dict[str, Any], str, str, str]] = [
    # what is done, the change, key, words of the problem, words of the remedy
    ("a key is misspelt", {"anwser": "io"}, "anwser", "unknown key", "did you mean 'answer'"),
    ("a key inside is unknown", {"splits/dev": 3}, "splits.dev", "unknown key", "validation"),
    ("no fillers", {"fillers": ...}, "fillers", "missing", "add it"),
    ("no corruptions", {"corruptions": ...}, "corruptions", "missing", "add it"),
    ("empty corruptions", {"corruptions": {}}, "corruptions", "too few", "rewrite"),
    ("no rewrite", {"corruptions/abc": {"answer": None}}, "corruptions.abc.rewrite", "missing", ""),
    ("no corrupted answer", {"corruptions/abc/answer": ...}, "corruptions.abc.answer", "", ""),
    ("empty rewrite", {"corruptions/abc/rewrite": {}}, "corruptions.abc.rewrite", "too few", ""),
    ("empty filler", {"fillers/places": []}, "fillers.places", "too few", "list of words"),
    ("text for a list", {"fillers/places": "bar"}, "fillers.places", "a list is wanted", "list"),
    (
        "a number as a word",
        {"fillers/places": [1, 2]},
        "fillers.places[0]",
        "text is wanted",
        "quotes",
    ),
    ("yes as a word", {"fillers/places": ["a", True]}, "fillers.places[1]", "true", "quotes"),
    ("a repeated word", {"fillers/places": ["bar", "bar"]}, "fillers.places", "'bar'", "remove"),
    ("a word in two lists", {"fillers/places": ["Ann"]}, "fillers.places[0]", "names", "keep"),
    (
        "two words in one",
        {"fillers/places": ["New York"]},
        "fillers.places[0]",
        "New York",
        "one word",
    ),
    ("an empty word", {"fillers/places": [""]}, "fillers.places[0]", "form", "one word"),
    (
        "a word and a newline",
        {"fillers/places": ["bar\n"]},
        "fillers.places[0]",
        "form",
        "one word",
    ),
    ("a comma in a word", {"fillers/places": ["bar,"]}, "fillers.places[0]", "form", "one word"),
    ("braces in a word", {"fillers/places": ["{io}"]}, "fillers.places[0]", "form", "one word"),
    ("code in a word", {"fillers/places": ["__import__('os')"]}, "fillers.places[0]", "form", ""),
    (
        "too few words",
        {"fillers/names": ["Ann", "Bo"]},
        "fillers.names",
        "3 different",
        "add words",
    ),
    ("an idle list", {"fillers/extra": ["x"]}, "fillers.extra", "no role draws", "remove"),
    ("an unknown list", {"roles/io": "name"}, "roles.io", "no filler list", "'names'"),
    ("an idle role", {"roles/extra": "names"}, "roles.extra", "nothing uses", "remove"),
    ("a role named end", {"roles/end": "names"}, "roles.end", "last word", "another name"),
    ("a path as role", {"roles": {"../x": "names"}}, "roles.../x", "name", "letters"),
    ("a number as role", {"roles/io": 3}, "roles.io", "text or a mapping", ""),
    (
        "an unknown leader",
        {"roles/io": {"follows": "sub"}},
        "roles.io.follows",
        "no role",
        "subject",
    ),
    ("a closed chain", {"roles/place": FOLLOWS_SELF}, "roles.place.follows", "itself", "list"),
    (
        "a chain that branches",
        {"roles/subject": {"follows": "io"}, "roles/other": {"follows": "io"}},
        "roles.other.follows",
        "already",
        "subject",
    ),
    ("a misspelt chain key", {"roles/io": {"folows": "other"}}, "roles.io.folows", "", "'follows'"),
    (
        "an unknown role in orders",
        {"orders/listed": ["io", "subjct"]},
        "orders.listed[1]",
        "no role",
        "subject",
    ),
    ("a group of one", {"orders/listed": ["io"]}, "orders.listed", "too few", "two to five"),
    (
        "a group named as a role",
        {"orders/io": ["io", "subject"]},
        "orders.io",
        "role as well",
        "rename",
    ),
    (
        "an idle group",
        {"orders/extra": ["io", "subject"]},
        "orders.extra",
        "no template",
        "{extra.1}",
    ),
    (
        "an unknown role in a text",
        {"templates/met": "{io} {sujbect}"},
        "templates.met",
        "sujbect",
        "subject",
    ),
    ("an unknown group", {"templates/met": "{list.1} {io}"}, "templates.met", "no group", "listed"),
    (
        "a group without number",
        {"templates/met": "{listed} saw"},
        "templates.met",
        "group",
        "{listed.1}",
    ),
    (
        "a place too many",
        {"templates/met": "{listed.1} {listed.3}"},
        "templates.met",
        "2 places",
        "",
    ),
    (
        "a place too few",
        {"templates/met": "{listed.1} saw"},
        "templates.met",
        "{listed.2}",
        "every",
    ),
    ("an open brace", {"templates/met": "{listed.1 saw"}, "templates.met", "braces", "{role}"),
    ("empty braces", {"templates/met": "{} {io}"}, "templates.met", "braces", "{role}"),
    ("doubled braces", {"templates/met": "{{io}}"}, "templates.met", "braces", "{role}"),
    (
        "code in braces",
        {"templates/met": "{__import__('os')}"},
        "templates.met",
        "braces",
        "{role}",
    ),
    ("an attribute in braces", {"templates/met": "{io.__class__}"}, "templates.met", "braces", ""),
    ("a format in braces", {"templates/met": "{io!r:>9}"}, "templates.met", "braces", ""),
    ("no place", {"templates/met": "Nothing"}, "templates.met", "no place", "{role}"),
    ("an empty text", {"templates/met": ""}, "templates.met", "too short", ""),
    (
        "a space at the end",
        {"templates/met": "{io} met "},
        "templates.met",
        "ends with white",
        "remove",
    ),
    (
        "a space at the start",
        {"templates/met": " {io} met"},
        "templates.met",
        "starts with",
        "remove",
    ),
    ("a null character", {"templates/met": "{io} \x07met"}, "templates.met", "control", "remove"),
    ("letters at a place", {"templates/met": "{io}s met"}, "templates.met", "touches", "space"),
    (
        "two places in a word",
        {"templates/met": "{io}-{subject}"},
        "templates.met",
        "one word",
        "space",
    ),
    ("no template", {"templates": {}}, "templates", "too few", ""),
    (
        "an odd template name",
        {"templates/a-b": "{io}"},
        "templates.a-b",
        "no valid name",
        "letters",
    ),
    (
        "a path as template name",
        {"templates": {"../b": "{io}"}},
        "templates.../b",
        "name",
        "letters",
    ),
    ("an unknown answer", {"answer": "oi"}, "answer", "no role 'oi'", "did you mean 'io'"),
    (
        "an answer outside the text",
        {"answer": "other"},
        "answer",
        "does not mention",
        "unmentioned",
    ),
    (
        "a mentioned answer called unmentioned",
        {"unmentioned_answer": True},
        "unmentioned_answer",
        "",
        "",
    ),
    ("the answer as foil", {"foils": ["io"]}, "foils[0]", "is the answer", "wrong answers"),
    ("an unknown foil", {"foils": ["subject", "x"]}, "foils[1]", "no role", "other"),
    ("no foil", {"foils": []}, "foils", "too few", ""),
    ("a foil twice", {"foils": ["subject", "subject"]}, "foils", "twice", "remove"),
    (
        "an unknown mention",
        {"corruptions/abc/rewrite": {"subject.3": "io"}},
        "corruptions.abc.rewrite.subject.3",
        "no template has",
        "'subject.2'",
    ),
    (
        "an unknown role in a rewrite",
        {"corruptions/abc/rewrite": {"subject.2": "x"}},
        "corruptions.abc.rewrite.subject.2",
        "no role",
        "other",
    ),
    (
        "a rewrite by the same role",
        {"corruptions/abc/rewrite": {"subject.2": "subject"}},
        "corruptions.abc.rewrite.subject.2",
        "already",
        "another",
    ),
    (
        "a template that a rewrite misses",
        {"templates/brief": "{io} saw {subject}, so"},
        "corruptions.flip.rewrite",
        "'brief' would not change",
        "subject",
    ),
    (
        "a corruption that keeps the answer",
        {"corruptions/flip/answer": "io"},
        "corruptions.flip.answer",
        "keeps the clean answer",
        "null",
    ),
    (
        "an unknown corrupted answer",
        {"corruptions/flip/answer": "subjec"},
        "corruptions.flip.answer",
        "no role",
        "'subject'",
    ),
    ("an odd corruption name", {"corruptions": {"a b": {}}}, "corruptions.a b", "name", "letters"),
    ("a missing split", {"splits/test": ...}, "splits.test", "missing", "add it"),
    ("an empty split", {"splits/test": 0}, "splits.test", "too small", "at least 1"),
    ("a negative split", {"splits/test": -4}, "splits.test", "too small", "at least 1"),
    ("half a prompt", {"splits/test": 1.5}, "splits.test", "whole number", "number"),
    ("text for a number", {"splits/test": "many"}, "splits.test", "whole number", "number"),
    (
        "more prompts than there are",
        {"splits/train": 43},
        "splits",
        "25 different ones in each order of its roles, but has 24",
        "lower",
    ),
    ("very many prompts", {"splits/train": 10**9}, "splits.train", "too large", "at most"),
]


@pytest.mark.parametrize(
    ("changes", "key", "problem", "remedy"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
def test_a_spec_that_cannot_work_is_refused_with_place_problem_and_remedy(
    write_task: Callable[..., Path], changes: dict[str, Any], key: str, problem: str, remedy: str
) -> None:
    path = write_task(changes)
    with pytest.raises(UserError) as caught:
        load_spec(path)
    error = caught.value
    assert (error.source, error.key) == (str(path), key)
    assert problem in error.problem
    assert remedy.lower() in error.remedy.lower()
    assert error.remedy[0].isupper()
    assert not any("\n" in str(one) for one in error.each)


def test_the_unchanged_task_is_accepted(write_task: Callable[..., Path]) -> None:
    assert load_spec(write_task()).name == "small"


@pytest.mark.parametrize("name", ["a-b", "1a", "a b", ".hidden", "a.b"])
def test_a_file_name_that_is_no_name_is_refused(write_task: Callable[..., Path], name: str) -> None:
    path = write_task(name=name)
    with pytest.raises(UserError, match="cannot be a task's name"):
        load_spec(path)


@pytest.mark.parametrize("name", ["checkpoints", "figures"])
def test_a_task_is_not_called_as_a_folder_of_its_run(
    write_task: Callable[..., Path], name: str
) -> None:
    with pytest.raises(UserError, match="a folder of every run"):
        load_spec(write_task(name=name))
