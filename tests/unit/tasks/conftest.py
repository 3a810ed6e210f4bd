"""A small valid task that tests change in one place."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

_SMALL: dict[str, Any] = {
    "fillers": {"names": ["Ann", "Bo", "Cy", "Di"], "places": ["bar", "zoo"]},
    "roles": {"io": "names", "subject": "names", "other": "names", "place": "places"},
    "orders": {"listed": ["io", "subject"]},
    "templates": {"met": "{listed.1} met {listed.2} at the {place}, {subject} saw"},
    "answer": "io",
    "foils": ["subject"],
    "corruptions": {
        "flip": {"rewrite": {"subject.2": "io"}, "answer": "subject"},
        "abc": {"rewrite": {"subject.2": "other"}, "answer": None},
    },
    "splits": {"train": 8, "validation": 2, "test": 4},
}


@pytest.fixture
def write_task(tmp_path: Path) -> Callable[..., Path]:
    """Write the small task with changes: keys are paths ("splits/train"), ... removes."""

    def write(changes: dict[str, Any] | None = None, name: str = "small") -> Path:
        task = deepcopy(_SMALL)
        for key, value in (changes or {}).items():
            *folders, last = key.split("/")
            entry = task
            for folder in folders:
                entry = entry[folder]
            if value is ...:
                del entry[last]
            else:
                entry[last] = value
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(task, sort_keys=False, allow_unicode=True))
        return path

    return write
