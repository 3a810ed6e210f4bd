"""Tables: docs/tables.md explains every column of every schema, in its order."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from timelapse.tables import SCHEMAS, WIN_RATE, without_step

DOCS = Path(__file__).parents[2] / "docs" / "tables.md"


def documented() -> dict[str, list[str]]:
    """The columns of every section, in their order."""
    sections = re.split(r"^## (\w+)$", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        name: [
            column
            for line in re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
            for column in re.findall(r"`(\w+)`", line)
        ]
        for name, text in zip(sections[1::2], sections[2::2], strict=True)
    }


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_column_is_explained(name: str) -> None:
    columns = documented()[name]
    assert len(set(columns)) == len(columns)
    assert set(columns) == set(SCHEMAS[name].names)


def test_no_table_is_explained_that_is_not_there() -> None:
    assert documented().keys() == {"dataset", *SCHEMAS}


def test_a_probe_measures_all_columns_but_the_step() -> None:
    assert "step" not in without_step(WIN_RATE).names
    assert len(without_step(WIN_RATE)) == len(WIN_RATE) - 1


def test_numbers_are_float32() -> None:
    for schema in SCHEMAS.values():
        kinds = [pa.list_(pa.float32()), pa.float32()]
        numbers = [kind for kind in schema.types if "float" in str(kind) or "double" in str(kind)]
        assert all(kind in kinds for kind in numbers)
