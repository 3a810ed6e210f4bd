"""What a violated JSON schema means in plain words: where, what is wrong, what to do."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from jsonschema import ValidationError

_KINDS = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}
_BOUNDS = {
    "minimum": ("is too small", "at least"),
    "exclusiveMinimum": ("is too small", "more than"),
    "maximum": ("is too large", "at most"),
    "exclusiveMaximum": ("is too large", "less than"),
    "multipleOf": ("does not fit", "a multiple of"),
}
_SIZES = {
    "minItems": ("too few entries", "at least"),
    "maxItems": ("too many entries", "at most"),
    "minProperties": ("too few entries", "at least"),
    "maxProperties": ("too many entries", "at most"),
    "minLength": ("too short a text", "at least"),
    "maxLength": ("too long a text", "at most"),
}
_SHOWN = 60


def explanation(error: ValidationError) -> tuple[str, str, str]:
    """Return the dotted key, the problem and the remedy for one violation."""
    path, value, wanted, rule = (
        list(error.absolute_path),
        error.instance,
        error.validator_value,
        str(error.validator),
    )
    help_text = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    if "propertyNames" in error.absolute_schema_path:
        problem = f"{_shown(value)} is no valid name here"
        return _dotted([*path, value]), problem, _expected(help_text, "rename it")
    if rule == "additionalProperties":
        unknown = _unknown_keys(error)[0]
        allowed = error.schema.get("properties", {})
        return _dotted([*path, unknown]), f"unknown key {unknown!r}", advice(unknown, allowed)
    if rule == "required":
        missing = next(key for key in wanted if key not in value)
        meaning = error.schema.get("properties", {}).get(missing, {}).get("description", "")
        return _dotted([*path, missing]), "the key is missing", _expected(meaning, "add it")
    return _dotted(path), *_complaint(rule, value, wanted, help_text, error.message)


def advice(word: str, choices: Iterable[str]) -> str:
    """Advice for a name that is not among the choices: the nearest one, then all of them."""
    listed = sorted(str(choice) for choice in choices)
    if not listed:
        return "remove it: there is nothing to choose from"
    near = get_close_matches(str(word), listed, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}The choices are: {', '.join(listed)}"


def found(value: Any) -> str:
    """Name a value's kind, and show it if it is short."""
    if value is None or isinstance(value, bool):
        return f"the value {str(value).lower().replace('none', 'null')}"
    for kind, python in (("object", dict), ("array", list), ("string", str), ("integer", int)):
        if isinstance(value, python):
            shown = f" ({_shown(value)})" if isinstance(value, str | int) else ""
            return f"{_KINDS[kind]}{shown}"
    return f"the number {value}"


def _complaint(rule: str, value: Any, wanted: Any, help_text: str, message: str) -> tuple[str, str]:
    if rule == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        names = " or ".join(_KINDS[kind] for kind in kinds)
        problem = f"{names} is wanted, {found(value)} was found"
        if "string" in kinds and isinstance(value, bool | int | float):
            return problem, "put the value in quotes to make it text"
        return problem, _expected(help_text, f"write {_KINDS[kinds[0]]} here")
    if rule in ("enum", "const"):
        choices = wanted if rule == "enum" else [wanted]
        return f"{_shown(value)} is not one of the choices", advice(value, choices)
    if rule in _BOUNDS:
        problem, relation = _BOUNDS[rule]
        return f"{_shown(value)} {problem}", f"use {relation} {wanted}"
    if rule in _SIZES:
        problem, relation = _SIZES[rule]
        unit = "characters" if rule.endswith("Length") else "entries"
        return f"{problem} ({len(value)})", _expected(help_text, f"give {relation} {wanted} {unit}")
    if rule == "uniqueItems":
        twice = next(item for place, item in enumerate(value) if item in value[:place])
        return f"{_shown(twice)} stands twice in the list", "remove one of the two"
    misfits = {
        "pattern": f"{_shown(value)} does not have the form wanted here",
        "anyOf": f"{found(value)} fits none of the forms allowed here",
        "oneOf": f"{found(value)} does not fit exactly one of the forms allowed here",
    }
    return misfits.get(rule, message.rstrip(".")), _expected(help_text, "change it")


def _unknown_keys(error: ValidationError) -> list[str]:
    patterns = error.schema.get("patternProperties", {})
    known = error.schema.get("properties", {})
    return [
        key
        for key in error.instance
        if key not in known and not any(re.search(pattern, key) for pattern in patterns)
    ]


def _expected(help_text: str, action: str) -> str:
    return f"{action} ({help_text.strip().rstrip('.')})" if help_text else action


def _dotted(path: Iterable[str | int]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
