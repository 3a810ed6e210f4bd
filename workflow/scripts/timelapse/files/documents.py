"""The files a user writes: YAML in, plain checked data out, or one error that says what to do."""

import math
import re
from collections.abc import Hashable
from copy import deepcopy
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from timelapse.errors import UserError
from timelapse.files.violations import cut, explanation, found

_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null")
}
_LARGEST = 2**63
_BYTES = 1_000_000
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping with text keys.

    Only plain data is accepted: no tags, no aliases, no key twice in one mapping.

    Raises:
        UserError: the file cannot be read, or is not such YAML; the key is "line L, column C".
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(
            path, "", f"the file cannot be read ({reason})", "Check the path"
        ) from error
    if len(content) > _BYTES:
        problem = f"the file has {len(content):,} bytes, {_BYTES:,} are the most"
        raise UserError(path, "", problem, "Give the file that was meant, or shorten its lists")
    try:
        document = yaml.load(content.decode("utf-8-sig"), Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(path, error) from error
    except UnicodeDecodeError as error:
        problem = (
            f"the file is not UTF-8 text (byte {error.start + 1} is {content[error.start]:#x})"
        )
        raise UserError(path, "", problem, "Save it as UTF-8") from error
    except (yaml.YAMLError, ValueError) as error:
        problem = f"the file is not valid YAML ({' '.join(str(error).split())})"
        remedy = "Save it as UTF-8 text and check its syntax"
        raise UserError(path, "", problem, remedy) from error
    except RecursionError as error:
        raise UserError(path, "", "the file is nested too deeply", "Flatten it") from error
    if not isinstance(document, dict):
        problem = f"the top level must be a mapping (key: value), but {found(document)} was found"
        raise UserError(path, "", problem, "Start the file with a key, such as description: ...")
    return document


def validated(
    document: dict[str, Any], schema_path: str | Path, source: str | Path
) -> dict[str, Any]:
    """Return a copy of the document with the schema's defaults, or explain what is wrong.

    Text that spells a number becomes one where the schema wants a number: to YAML 1.1, `1e-4` is
    text.

    Args:
        document: what `read_yaml` returned.
        schema_path: a JSON schema (Draft 2020-12) written as YAML; its descriptions become advice.
        source: the file to name in the error.

    Raises:
        UserError: the most telling violation of the schema.
    """
    schema = _schema(Path(schema_path))
    completed: dict[str, Any] = _completed(document, schema, schema)
    errors = list(_Validator(schema).iter_errors(completed))
    if not errors:
        return completed
    misnamed = [error for error in errors if error.validator == "additionalProperties"]
    outermost = min(misnamed or errors, key=lambda error: len(error.absolute_path))
    key, problem, remedy = explanation(best_match([outermost]))
    raise UserError(source, key, problem, remedy)


class _Refused(yaml.MarkedYAMLError):
    """YAML that is well formed but has no place in a document of plain data."""

    def __init__(self, problem: str, mark: Any, remedy: str) -> None:
        super().__init__(problem=problem, problem_mark=mark)
        self.remedy = remedy


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader without aliases, tags, dates, and keys that are no text or stand twice."""

    def compose_node(
        self, parent: yaml.Node | None, index: int | yaml.Node | None
    ) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise _Refused("an alias (*name) is used", event.start_mark, "Write the value out")
        if tag := getattr(self.peek_event(), "tag", None):
            raise self._odd_kind(tag, self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag not in _PLAIN_TAGS:
            raise self._odd_kind(node.tag, node.start_mark)
        try:
            value = super().construct_object(node, deep=deep)
            is_large = isinstance(value, int) and abs(value) > _LARGEST
        except (ValueError, OverflowError):  # of Python: thousands of digits
            is_large = True
        if is_large:
            raise _Refused(
                "a number of more than 64 bits is used",
                node.start_mark,
                "Write a smaller number; put text in quotes",
            )
        return value

    def _odd_kind(self, tag: str, mark: Any) -> "_Refused":
        kind = tag.removeprefix("tag:yaml.org,2002:")
        return _Refused(
            f"a value of the kind {cut(repr(kind))} is used",
            mark,
            "Use text, numbers, true/false, lists and mappings; put text in quotes",
        )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag != "tag:yaml.org,2002:str":
                shown = getattr(key_node, "value", "")
                shown = shown if isinstance(shown, str) else "a list or mapping"
                raise _Refused(
                    f"the key {cut(shown)} is not text",
                    key_node.start_mark,
                    "Rename the key, or put it in quotes",
                )
            if key_node.value in keys:
                raise _Refused(
                    f"the key {cut(repr(key_node.value))} stands twice in one mapping",
                    key_node.start_mark,
                    "Remove or rename one of the two",
                )
            keys.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def _syntax_error(path: str | Path, error: yaml.MarkedYAMLError) -> UserError:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    problem = " ".join(part for part in (error.problem, error.context) if part)
    if isinstance(error, _Refused):
        remedy = error.remedy
    elif "\\t" in problem:
        problem, remedy = "a tab is used for indentation", "Indent with spaces"
    else:
        remedy = "Check indentation, quotes, brackets and colons on this line and the one above"
    return UserError(path, place, problem, remedy)


def _is_finite_number(_: TypeChecker, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_finite_number),
)


@cache
def _schema(path: Path) -> dict[str, Any]:
    schema = read_yaml(path)
    Draft202012Validator.check_schema(schema)
    return schema


def _completed(value: Any, schema: Any, root: dict[str, Any]) -> Any:
    """Copy a value with defaults filled in and numerals turned into numbers, as its schema says."""
    if not isinstance(schema, dict):
        return deepcopy(value)
    if reference := schema.get("$ref"):
        schema = {**_referenced(reference, root), **schema}
    for branch in [*schema.get("anyOf", []), *schema.get("oneOf", [])]:
        attempt = _completed(value, branch, root)
        if _Validator(root).evolve(schema=branch).is_valid(attempt):
            value = attempt
            break
    if isinstance(value, dict):
        return _completed_mapping(value, schema, root)
    if isinstance(value, list):
        rules = chain(schema.get("prefixItems", []), repeat(schema.get("items")))
        return [_completed(item, rule, root) for item, rule in zip(value, rules, strict=False)]
    return _number(value, schema.get("type", []))


def _referenced(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    target = root
    for part in reference.removeprefix("#/").split("/"):
        target = target[part]
    return target


def _completed_mapping(
    value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any]
) -> dict[str, Any]:
    properties = schema.get("properties", {})
    defaults = {
        key: rule["default"]
        for key, rule in properties.items()
        if key not in value and isinstance(rule, dict) and "default" in rule
    }
    patterns = schema.get("patternProperties", {})

    def rule_for(key: str) -> Any:
        if key in properties:
            return properties[key]
        matching = [rule for pattern, rule in patterns.items() if re.search(pattern, key)]
        return matching[0] if matching else schema.get("additionalProperties")

    return {
        key: _completed(item, rule_for(key), root) for key, item in {**value, **defaults}.items()
    }


def _number(value: Any, wanted: str | list[str]) -> Any:
    """The number that a text spells, where a number is wanted and text is not."""
    kinds = {wanted} if isinstance(wanted, str) else set(wanted)
    if isinstance(value, str) and kinds & {"number", "integer"} and "string" not in kinds:
        if not _NUMBER.fullmatch(value):
            return value
        value = float(value)
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return int(value)
    return value
