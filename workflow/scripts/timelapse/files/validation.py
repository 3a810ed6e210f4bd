"""Checked settings: pydantic models of what a user writes, and their errors in plain words."""

import re
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic import ValidationInfo
else:  # A protocol that cannot be checked at run time.
    ValidationInfo = Any

from timelapse.errors import UserError, raise_errors
from timelapse.files.messages import dotted, shown, violations

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


class StrictModel(BaseModel):
    """A mapping of a document: unknown keys are mistakes, and values are not converted.

    But for one thing: text that spells a number becomes one where a number is wanted and text is
    not, for to YAML 1.1 `1e-4` is text. A key that may be left out may not be null. The docstrings
    of fields are the descriptions in schemas and messages.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _prepare(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        if value is None and not field.is_required() and NoneType in get_args(field.annotation):
            problem = "a value is wanted, the value null was found"
            raise mistake(problem, "Write a value, or remove the key")
        return prepared(value, field.annotation)


Checked = TypeVar("Checked", bound=StrictModel)


def mistake(problem: str, remedy: str) -> PydanticCustomError:
    """What a validator raises: the words of the `UserError` that it becomes."""
    words = {"problem": problem, "remedy": remedy}
    return PydanticCustomError("mistake", "{problem}. {remedy}", words)


def check_one_key(settings: StrictModel, rule: str) -> None:
    """Check that of keys that exclude each other one is given.

    Raises:
        PydanticCustomError: none, or several.
    """
    given = [key for key in type(settings).model_fields if getattr(settings, key) is not None]
    known = ", ".join(type(settings).model_fields)
    if not given:
        raise mistake(f"none of the keys is given, {rule}", f"Give one of: {known}")
    if len(given) > 1:
        raise mistake(
            f"{' and '.join(given)} are given together, {rule}",
            f"Keep one; in a config that extends another, null takes away what is there "
            f"(`{given[-1]}: null`)",
        )


class Unique:
    """Annotates a tuple in which nothing stands twice; a document's list is a model's tuple."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(_unique, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}


def _unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen = set()
    for value in values:
        if value in seen:
            raise mistake(f"{shown(value)} stands twice in the list", "Remove one of the two")
        seen.add(value)
    return values


Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
        max_length=40,
        description="up to 40 letters, digits and underscores, starting with a letter",
    ),
]
"""A name that becomes part of paths and wildcards."""

Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""What random numbers are drawn from."""


def validate(
    model: type[Checked],
    document: Mapping[str, Any],
    source_of: Callable[[Sequence[str | int]], str],
) -> Checked:
    """Read a document as a model.

    Args:
        model: the model.
        document: plain data.
        source_of: the file that says what stands at a path of the document.

    Raises:
        UserError: naming every value that the model refuses, its key, and what to write instead.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = violations(error, model.model_json_schema(), document)
    raise_errors(UserError(source_of(path), dotted(path), *words) for path, *words in found)
    raise AssertionError(found)


def prepared(value: Any, wanted: Any) -> Any:
    """Plain data as a model takes it: text that spells a number as one, lists as tuples.

    Args:
        value: plain data.
        wanted: the annotation of a field; what is inside a model is left to that model.
    """
    kinds = _kinds(wanted)
    for kind in kinds:
        inner = get_args(kind)
        if get_origin(kind) is tuple and isinstance(value, list):
            return tuple(prepared(item, inner[0]) for item in value)
        if get_origin(kind) is dict and isinstance(value, dict):
            return {key: prepared(item, inner[1]) for key, item in value.items()}
    wants_number = not {int, float}.isdisjoint(kinds) and str not in kinds
    if isinstance(value, str) and wants_number and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, float) and int in kinds and value.is_integer():
        return int(value)
    return value


def _kinds(wanted: Any) -> list[Any]:
    """The branches of an annotation that is a union, or the annotation, without what annotates."""
    if get_origin(wanted) is Annotated:
        return _kinds(get_args(wanted)[0])
    if get_origin(wanted) in (Union, UnionType):
        return [kind for branch in get_args(wanted) for kind in _kinds(branch)]
    return [wanted]
