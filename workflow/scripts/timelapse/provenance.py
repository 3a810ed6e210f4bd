"""What a result stands on: the files of code behind a script, and the fingerprint of inputs."""

import ast
import hashlib
import json
import os
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]
MACHINE = SCRIPTS / "timelapse" / "machine"


def library_files(script: Path) -> list[str]:
    """The modules in the scripts' folder that a script imports, directly or through others.

    Snakemake does not track imported modules; a rule lists these among its inputs. Imports for type
    checkers alone do not count. Paths are relative to the working directory, so that moving the
    project reruns nothing.
    """
    found: set[Path] = set()
    waiting = [script.resolve()]
    while waiting:
        new = set(_imports(waiting.pop())) - found
        found |= new
        waiting.extend(new)
    return [os.path.relpath(path) for path in sorted(found)]


def code_digest(script: Path, without: Collection[str] = ()) -> str:
    """A digest of a script and of the modules that it imports, see `library_files`.

    A rule has it among its params, so that an edit reruns its jobs. As input files the modules
    would be most of a large study's graph of jobs. No result stands on the modules in `machine/`,
    which say where a job runs and what becomes of it.

    Args:
        script: the script.
        without: modules that do not count, such as `figures/films/registry.py`.
    """
    files = [
        file
        for file in library_files(script)
        if not file.endswith(tuple(without)) and MACHINE not in Path(file).resolve().parents
    ]
    return fingerprint([script, *map(Path, files)], [])


@cache
def _imports(script: Path) -> tuple[Path, ...]:
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(script.read_text(), str(script))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(path for name in sorted(names) for path in _module_files(name))


def _module_files(name: str) -> list[Path]:
    path = SCRIPTS.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return [candidate for candidate in candidates if candidate.is_file()]


def fingerprint(files: Iterable[Path], values: object) -> str:
    """A digest of files' contents and of plain values, the same wherever the files lie."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(hashlib.blake2b(file.read_bytes()).digest())
    digest.update(json.dumps(values, sort_keys=True).encode())
    return digest.hexdigest()
