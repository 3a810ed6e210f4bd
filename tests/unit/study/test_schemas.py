"""The schema files are those of the models, and every key is described."""

from typing import Any

import pytest
import yaml

from timelapse.study.schemas import FOLDER, SCHEMAS, schema_text


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_file_is_what_its_model_generates(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert text == schema_text(SCHEMAS[name]), "run `make schemas`"


def test_no_schema_file_is_of_no_model() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*SCHEMAS}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_of_a_schema_is_described(name: str) -> None:
    schema = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))

    def described(part: dict[str, Any]) -> bool:
        target = schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else {}
        return "description" in part or "description" in target

    sections = {"": schema, **schema["$defs"]}
    missing = [
        f"{section}.{key}"
        for section, body in sections.items()
        for key, part in body.get("properties", {}).items()
        if not described(part)
    ]
    assert missing == []
    assert all("description" in body for body in sections.values())
