"""What pydantic refuses, in plain words: where, what is wrong, what to do."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_KINDS = {
    "model": "a mapping (key: value)",
    "dict": "a mapping (key: value)",
    "tuple": "a list",
    "string": "text",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
}
_BOUNDS = {
    "greater_than_equal": ("is too small", "at least", "ge"),
    "greater_than": ("is too small", "more than", "gt"),
    "less_than_equal": ("is too large", "at most", "le"),
    "less_than": ("is too large", "less than", "lt"),
}
_SHOWN = 60
_CHOICES = 30


def violations(
    error: ValidationError, schema: Mapping[str, Any], document: Mapping[str, Any]
) -> list[tuple[tuple[str | int, ...], str, str]]:
    """Say in plain words what a model refuses.

    Args:
        error: what pydantic found.
        schema: the JSON schema of the model, whose descriptions become advice.
        document: what was validated.

    Returns:
        Path, problem and remedy of every mistake; unknown keys come first, for what is missing may
        be what they were meant to be.
    """
    groups: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        groups.setdefault(_path(detail, document), []).append(detail)
    unknown, others = [], []
    bad_names = {path for path, group in groups.items() if _is_of_a_name(group[0], path)}
    for path, group in groups.items():
        if any(path[:length] in bad_names for length in range(len(path))) or _is_lost(group[0]):
            continue
        part = _schema_at(schema, path)
        if group[0]["type"] == "extra_forbidden":
            known = _schema_at(schema, path[:-1]).get("properties", {})
            unknown.append((path, f"unknown key {shown(path[-1])}", advice(str(path[-1]), known)))
        elif not _is_said_below(path, group, groups):
            if path in bad_names:
                meaning = _schema_at(schema, path[:-1]).get("propertyNames", {})
                part = {"description": meaning.get("description", "")}
            others.append((path, *_words(group, part, path in bad_names)))
    meant = {
        (*path[:-1], near)
        for path, _, remedy in unknown
        if (near := _nearest(str(path[-1]), _schema_at(schema, path[:-1]).get("properties", {})))
    }
    return unknown + [
        one for one in others if not (one[1] == "the key is missing" and one[0] in meant)
    ]


def advice(word: str, choices: Iterable[Any]) -> str:
    """Advice for a name that is not among the choices: the nearest one, then all of them."""
    listed = sorted(str(choice) for choice in choices)
    if not listed:
        return "Remove it: there is nothing to choose from"
    near = _nearest(word, listed)
    guess = f"Did you mean {near!r}? " if near else ""
    more = f" and {len(listed) - _CHOICES} more" if len(listed) > _CHOICES else ""
    return f"{guess}The choices are: {', '.join(listed[:_CHOICES])}{more}"


def found(value: Any) -> str:
    """Name a value's kind, and show it if it is short."""
    if value is None or isinstance(value, bool):
        return f"the value {str(value).lower().replace('none', 'null')}"
    kinds = (("dict", dict), ("tuple", list | tuple), ("string", str), ("int", int))
    for kind, python in kinds:
        if isinstance(value, python):
            return f"{_KINDS[kind]}{f' ({shown(value)})' if isinstance(value, str | int) else ''}"
    return f"the number {value}"


def shown(value: Any) -> str:
    """A value as it stands in a message: the start of a long one."""
    return cut(repr(value))


def cut(text: str) -> str:
    """A text as it stands in a message: the start of a long one."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def dotted(path: Iterable[str | int]) -> str:
    """A path as it stands in a message: `runs.tuned.checkpoints.steps[0]`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{cut(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def _nearest(word: str, choices: Iterable[str]) -> str | None:
    near = get_close_matches(word[:_SHOWN], list(choices), n=1, cutoff=0.5)
    return near[0] if near else None


def _path(detail: ErrorDetails, document: Any) -> tuple[str | int, ...]:
    """Where in the document an error is; pydantic's path also has the branches of unions."""
    path: list[str | int] = []
    here: Any = document
    for part in detail["loc"]:
        is_list = isinstance(here, list | tuple)
        inside: Any = range(len(here)) if is_list else here if isinstance(here, Mapping) else ()
        if part in inside:
            here = here[part]
            path.append(part)
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    if detail["type"] == "string_unicode" and isinstance(here, Mapping):  # half a character as key
        path.append(detail["input"])
    return tuple(path)


def _is_of_a_name(detail: ErrorDetails, path: Sequence[str | int]) -> bool:
    is_half_a_character = detail["type"] == "string_unicode" and path[-1:] == (detail["input"],)
    return detail["loc"][-1:] == ("[key]",) or is_half_a_character


def _is_lost(detail: ErrorDetails) -> bool:
    """Whether an error is below a key that is no text, which is an error of its own."""
    return "\ufffd" in "".join(map(str, detail["loc"])) and detail["loc"][-1] != "[key]"


def _is_mismatch(detail: ErrorDetails) -> bool:
    return detail["type"].endswith("_type") or detail["type"] == "literal_error"


def _is_said_below(
    path: tuple[str | int, ...],
    group: Sequence[ErrorDetails],
    groups: Mapping[tuple[str | int, ...], Any],
) -> bool:
    """Whether a value fits another branch of its union so well that only something in it is bad."""
    below = any(len(other) > len(path) and other[: len(path)] == path for other in groups)
    return below and all(map(_is_mismatch, group))


def _schema_at(schema: Mapping[str, Any], path: Sequence[str | int]) -> Mapping[str, Any]:
    """The part of a JSON schema that describes what lies at a path; empty if there is none."""
    here: Any = schema
    for part in (*path, None):
        meaning = here.get("description")
        while "$ref" in here or "anyOf" in here:
            if "$ref" in here:
                here = schema["$defs"][here["$ref"].rpartition("/")[2]]
            else:
                here = next((one for one in here["anyOf"] if "$ref" in one), here["anyOf"][0])
        if part is None:
            return here | {"description": meaning} if meaning else here
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            patterns = list(here.get("patternProperties", {}).values())
            other = here.get("additionalProperties") or (patterns[0] if patterns else {})
            here = here.get("properties", {}).get(part, other)
    raise AssertionError(path)


def _words(
    group: Sequence[ErrorDetails], schema: Mapping[str, Any], is_name: bool
) -> tuple[str, str]:
    """Problem and remedy of a value for which pydantic found one error, or one for each branch."""
    meaning = schema.get("description", "")
    exact = [detail for detail in group if not _is_mismatch(detail)]
    detail = exact[0] if exact else group[0]
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if is_name:
        return f"{shown(value)} is no valid name here", _expected(meaning, "Rename it")
    if kind == "mistake":
        return context["problem"], context["remedy"]
    if kind == "missing":
        return "the key is missing", _expected(meaning, "Add it")
    if kind in _BOUNDS:
        problem, relation, name = _BOUNDS[kind]
        return f"{_short(value)} {problem}", f"Use {relation} {_short(context[name])}"
    if kind in ("too_short", "string_too_short", "too_long", "string_too_long"):
        return _wrong_size(kind, value, context, meaning)
    if kind == "finite_number":
        return f"a number is wanted, {found(value)} was found", _expected(meaning, "Write a number")
    if kind == "literal_error" and len(group) == 1:
        return f"{shown(value)} is not one of the choices", advice(str(value), _choices(schema))
    if _is_mismatch(detail):
        return _wrong_type(group, value, meaning)
    return f"{shown(value)} does not have the form wanted here", _expected(meaning, "Change it")


def _wrong_size(kind: str, value: Any, context: Mapping[str, Any], meaning: str) -> tuple[str, str]:
    is_text, is_short = kind.startswith("string"), kind.endswith("short")
    size = "short" if is_text and is_short else "long" if is_text else "few" if is_short else "many"
    what, unit = ("too {} a text", "characters") if is_text else ("too {} entries", "entries")
    relation, bound = ("at least", "min_length") if is_short else ("at most", "max_length")
    action = f"Give {relation} {context[bound]} {unit}"
    return f"{what.format(size)} ({len(value)})", _expected(meaning, action)


def _wrong_type(group: Sequence[ErrorDetails], value: Any, meaning: str) -> tuple[str, str]:
    kinds = []
    for detail in group:
        if detail["type"] == "literal_error":
            kinds.append(detail["ctx"]["expected"])
        else:
            name = detail["type"].removesuffix("_type").removesuffix("_from_float")
            kinds.append(_KINDS.get(name.removesuffix("_attributes"), name))
    names = " or ".join(dict.fromkeys(kinds))
    problem = f"{names} is wanted, {found(value)} was found"
    if _KINDS["string"] in kinds and isinstance(value, bool | int | float):
        return problem, "Put the value in quotes to make it text"
    return problem, _expected(meaning, f"Write {kinds[0]} here")


def _short(number: int | float) -> str:
    whole = isinstance(number, float) and number.is_integer() and abs(number) < 1e15
    return shown(int(number) if whole else number)


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else schema.get("enum", [])


def _expected(meaning: str, action: str) -> str:
    meaning = " ".join(meaning.split()).rstrip(".")
    return f"{action} ({meaning})" if meaning else action
