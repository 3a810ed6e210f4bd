"""What a result depends on: the code behind a job, and the fingerprint of inputs."""

import ast
import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]

UNCOUNTED = (
    "timelapse/machine/",
    "timelapse/models/run_sources.py",
    "timelapse/models/sources.py",
    "timelapse/probes/registry.py",
    "timelapse/probes/probe_settings.py",
    "timelapse/circuits/methods.py",
    "timelapse/figures/films/registry.py",
    "timelapse/figures/overviews/registry.py",
)
"""What no digest counts: where a job runs, and declarations. Of a declaration a job's params say
what the job depends on, so that declaring another probe or figure reruns nothing."""


def library_files(source: str | Path) -> list[str]:
    """The modules that a script or function imports, directly or through others.

    Imports for type checkers alone do not count, nor those of modules in `UNCOUNTED`.

    Args:
        source: a script, or a function as `module:function`, whose module is then among them.

    Returns:
        Paths relative to the working directory, so that a project can be moved, sorted.
    """
    return [os.path.relpath(path) for path in sorted(_closure(source))]


@cache
def code_digest(*sources: str | Path) -> str:
    """A digest of scripts and functions with all modules that they import; see `library_files`.

    A rule has it among its params: Snakemake tracks no imported modules. Comments, docstrings and
    layout do not count; which functions of their modules are named does.

    Args:
        sources: scripts, or functions as `module:function`.
    """
    files = set().union(*map(_closure, sources))
    files |= {source.resolve() for source in sources if isinstance(source, Path)}
    names = {
        str(file.relative_to(SCRIPTS)) if file.is_relative_to(SCRIPTS) else file.name: file
        for file in files
    }
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(names):
        digest.update(f"{name} {_code(names[name])} ".encode())
    functions = sorted(source for source in sources if isinstance(source, str))
    digest.update(" ".join(functions).encode())
    return digest.hexdigest()


def fingerprint(files: Iterable[Path], values: object) -> str:
    """A digest of files' contents and of plain values, the same wherever the files lie."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(hashlib.blake2b(file.read_bytes()).digest())
    digest.update(json.dumps(values, sort_keys=True).encode())
    return digest.hexdigest()


@cache
def _closure(source: str | Path) -> frozenset[Path]:
    """The modules that a source stands for or imports."""
    if isinstance(source, Path):
        waiting, found = [source.resolve()], set()
    else:
        waiting = _module_files(source.partition(":")[0])
        if not waiting:
            raise ValueError(f"there is no module {source}")
        found = set(waiting)
    while waiting:
        new = set(_imports(waiting.pop())) - found
        found |= new
        waiting.extend(new)
    return frozenset(found)


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def _is_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@cache
def _code(file: Path) -> str:
    """A digest of a file's code without its docstrings."""
    tree = _tree(file)
    for node in ast.walk(tree):
        # Whatever is a string and nothing else: docstrings, also those under constants and fields.
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _is_string(part)]
    code = ast.dump(tree)
    return hashlib.blake2b(code.encode(), digest_size=16).hexdigest()


@cache
def _imports(file: Path) -> tuple[Path, ...]:
    names: set[str] = set()
    waiting: list[ast.AST] = [_tree(file)]
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
    found = (path for name in sorted(names) for path in _module_files(name))
    return tuple(path for path in found if not _uncounted(path))


def _uncounted(path: Path) -> bool:
    return str(path.relative_to(SCRIPTS)).startswith(UNCOUNTED)


def _module_files(name: str) -> list[Path]:
    """A module's file, if it is one of this project's."""
    path = SCRIPTS.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return [candidate for candidate in candidates if candidate.is_file()]
