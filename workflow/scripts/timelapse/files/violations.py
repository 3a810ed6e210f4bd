"""What a violated JSON schema means in plain words: where, what is wrong, what to do."""

import re
from collections.abc import Iterable, Mapping
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
_CHOICES = 30


def explanation(error: ValidationError) -> tuple[str, str, str]:
    """Return the dotted key, the problem and the remedy for one violation."""
    path, rule = list(error.absolute_path), str(error.validator)
    value: Any = error.instance
    wanted: Any = error.validator_value
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    meaning = schema.get("description", "")
    if "propertyNames" in error.absolute_schema_path:
        problem = f"{_shown(value)} is no valid name here"
        return _dotted([*path, value]), problem, _expected(meaning, "Rename it")
    properties = schema.get("properties", {})
    if rule == "additionalProperties":
        unknown = next(key for key in value if not _is_known(key, schema))
        return (
            _dotted([*path, unknown]),
            f"unknown key {_shown(unknown)}",
            advice(unknown, properties),
        )
    if rule == "required":
        missing = next(key for key in wanted if key not in value)
        meaning = properties.get(missing, {}).get("description", "")
        return _dotted([*path, missing]), "the key is missing", _expected(meaning, "Add it")
    return _dotted(path), *_complaint(rule, value, wanted, meaning, error.message)


def advice(word: str, choices: Iterable[str]) -> str:
    """Advice for a name that is not among the choices: the nearest one, then all of them."""
    listed = sorted(str(choice) for choice in choices)
    if not listed:
        return "Remove it: there is nothing to choose from"
    near = get_close_matches(str(word)[:_SHOWN], listed, n=1, cutoff=0.5)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    more = f" and {len(listed) - _CHOICES} more" if len(listed) > _CHOICES else ""
    return f"{guess}The choices are: {', '.join(listed[:_CHOICES])}{more}"


def found(value: Any) -> str:
    """Name a value's kind, and show it if it is short."""
    if value is None or isinstance(value, bool):
        return f"the value {str(value).lower().replace('none', 'null')}"
    for kind, python in (("object", dict), ("array", list), ("string", str), ("integer", int)):
        if isinstance(value, python):
            shown = f" ({_shown(value)})" if isinstance(value, str | int) else ""
            return f"{_KINDS[kind]}{shown}"
    return f"the number {value}"


def _complaint(rule: str, value: Any, wanted: Any, meaning: str, message: str) -> tuple[str, str]:
    """Problem and remedy of a value that breaks one rule of its schema."""
    if rule == "type":
        return _wrong_type(value, [wanted] if isinstance(wanted, str) else wanted, meaning)
    if rule in ("enum", "const"):
        choices = wanted if rule == "enum" else [wanted]
        return f"{_shown(value)} is not one of the choices", advice(value, choices)
    if rule in _BOUNDS:
        problem, relation = _BOUNDS[rule]
        return f"{_shown(value)} {problem}", f"Use {relation} {wanted}"
    if rule in _SIZES:
        problem, relation = _SIZES[rule]
        unit = "characters" if rule.endswith("Length") else "entries"
        return f"{problem} ({len(value)})", _expected(meaning, f"Give {relation} {wanted} {unit}")
    if rule == "uniqueItems":
        twice = next(item for place, item in enumerate(value) if item in value[:place])
        return f"{_shown(twice)} stands twice in the list", "Remove one of the two"
    misfits = {
        "pattern": f"{_shown(value)} does not have the form wanted here",
        "anyOf": f"{found(value)} fits none of the forms allowed here",
        "oneOf": f"{found(value)} does not fit exactly one of the forms allowed here",
    }
    return misfits.get(rule, message.rstrip(".")), _expected(meaning, "Change it")


def _wrong_type(value: Any, kinds: list[str], meaning: str) -> tuple[str, str]:
    names = " or ".join(_KINDS[kind] for kind in kinds)
    problem = f"{names} is wanted, {found(value)} was found"
    if "string" in kinds and isinstance(value, bool | int | float):
        return problem, "Put the value in quotes to make it text"
    return problem, _expected(meaning, f"Write {_KINDS[kinds[0]]} here")


def _is_known(key: str, schema: Mapping[str, Any]) -> bool:
    patterns = schema.get("patternProperties", {})
    return key in schema.get("properties", {}) or any(re.search(p, key) for p in patterns)


def _expected(meaning: str, action: str) -> str:
    return f"{action} ({meaning.strip().rstrip('.')})" if meaning else action


def _dotted(path: Iterable[str | int]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{cut(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def _shown(value: Any) -> str:
    return cut(repr(value))


def cut(text: str) -> str:
    """A text as it stands in a message: the start of a long one."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
