"""The schema files in `workflow/schemas`, generated from the models of configs and task specs.

`python -m timelapse.study.schemas`, or `make schemas`, writes them anew. Nothing reads them here:
they are for editors, which complete and check keys by them.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from timelapse.study.config import Config
from timelapse.tasks.document import TaskDocument

FOLDER = Path(__file__).parents[3] / "schemas"
SCHEMAS: dict[str, type[BaseModel]] = {
    "config.schema.yaml": Config,
    "task.schema.yaml": TaskDocument,
}


class _PlainSchema(GenerateJsonSchema):
    """A schema for people: no titles made of the keys, no null for keys that may be left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = schema["schema"]
        if schema.get("default", ...) is None:
            while inner["type"] != "nullable":
                inner = inner["schema"]
            return self.generate_inner(inner["schema"])
        return super().default_schema(schema)


def schema_text(model: type[BaseModel]) -> str:
    """The schema of a model as YAML."""
    schema = _tidied(model.model_json_schema(schema_generator=_PlainSchema))
    parts = schema.pop("$defs")
    dialect = "https://json-schema.org/draft/2020-12/schema"
    document = {"$schema": dialect, **schema, "$defs": parts}
    written = yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)
    return f"# Generated from {model.__module__} by `make schemas`.\n{written}"


def _tidied(schema: Any) -> Any:
    """A schema with descriptions in one line each; mappings have the defaults of their keys."""
    if isinstance(schema, list):
        return [_tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(part.split()) if isinstance(part, str) else _tidied(part)
        for key, part in schema.items()
        if not (key == "default" and isinstance(part, dict))
    }


def main() -> None:
    """Write the schema files."""
    for name, model in SCHEMAS.items():
        (FOLDER / name).write_text(schema_text(model), encoding="utf-8")


if __name__ == "__main__":
    main()
