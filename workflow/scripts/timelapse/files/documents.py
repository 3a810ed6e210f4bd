"""The files a user writes: YAML in, plain data out, or one error that says what to do."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from timelapse.errors import UserError
from timelapse.files.messages import cut, found

_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null")
}
_LARGEST = 2**63
_BYTES = 1_000_000


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


class _Refused(yaml.MarkedYAMLError):
    """YAML that is well formed but has no place in a document of plain data."""

    def __init__(self, problem: str, mark: Any, remedy: str) -> None:
        super().__init__(problem=problem, problem_mark=mark)
        self.remedy = remedy


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader without aliases, tags, dates, and keys that are no text or stand twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
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
