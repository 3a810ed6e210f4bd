"""Arrows point one way: scripts -> figures | probes | circuits -> models -> tasks -> files."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from timelapse.provenance import SCRIPTS

LIBRARY = SCRIPTS / "timelapse"
ALLOWED = {
    "machine": set(),
    "files": set(),
    "tasks": {"files"},
    "models": {"files", "tasks"},
    "activations": {"files", "machine", "models", "tasks"},
    "circuits": {"activations", "files", "models", "probes", "tasks"},
    # Of circuits what methods there are, which needs no model.
    "probes": {"activations", "circuits", "files", "models", "tasks"},
    # Of circuits the graph alone, which needs no model.
    "study": {"circuits", "figures", "files", "machine", "models", "probes", "tasks"},
    "figures": {"circuits", "files"},  # likewise
    "verification": {"files", "models", "probes", "tasks"},
}


def imported_stages(path: Path) -> set[str]:
    """The stages that a module imports from."""
    names = [
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    parts = [name.split(".") for name in names if name.startswith("timelapse.")]
    return {part[1] for part in parts} & ALLOWED.keys()


@pytest.mark.parametrize("stage", ALLOWED)
def test_a_stage_imports_from_the_stages_below_alone(stage: str) -> None:
    modules = list((LIBRARY / stage).rglob("*.py"))
    assert modules
    for path in modules:
        assert imported_stages(path) <= ALLOWED[stage] | {stage}, path


def test_every_stage_has_its_arrows() -> None:
    folders = {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").exists()}
    assert folders == ALLOWED.keys()


def test_the_library_knows_nothing_of_snakemake() -> None:
    for path in LIBRARY.rglob("*.py"):
        modules = [
            name
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        ]
        assert not [name for name in modules if name.split(".")[0] == "snakemake"], path


MODULES = [path for path in sorted(LIBRARY.rglob("*.py")) if path.name != "__init__.py"]
MOST_LINES = 300


def test_no_two_modules_have_one_name() -> None:
    """`registry` alone, which says what its folder holds."""
    names = Counter(path.stem for path in MODULES if path.stem != "registry")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_classes_have_one_name() -> None:
    classes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes.setdefault(node.name, []).append(str(path.relative_to(LIBRARY)))
    assert {name: paths for name, paths in classes.items() if len(paths) > 1} == {}


def test_no_module_is_long() -> None:
    lengths = {
        str(path.relative_to(LIBRARY)): len(path.read_text().splitlines()) for path in MODULES
    }
    assert {path: n for path, n in lengths.items() if n > MOST_LINES} == {}
