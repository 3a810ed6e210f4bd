"""A tiny study, run once from end to end, and copies of it to change things in.

What takes minutes to make is made once for all workers of pytest-xdist, by the first that asks.
"""

import os

# As many workers as processors, and no threads besides; read when torch and numpy are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from projects import CONFIG, Project, new_project


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """`once(name, make)` is a folder that `make` has filled, in this worker or in another."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made_once(name: str, make: Callable[[Path], None]) -> Path:
        folder, made = shared / name, shared / f"{name}.made"
        with FileLock(shared / f"{name}.lock"):
            assert made.exists() or not folder.exists(), f"{name} could not be made: see above"
            if not made.exists():
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return made_once


@pytest.fixture(scope="session")
def finished(once) -> Project:
    """The tiny study after `snakemake`; not to be changed."""

    def make(folder: Path) -> None:
        done = new_project(folder / "study").watched("--cores", "2")
        assert done.returncode == 0, done.stdout + done.stderr

    return Project(once("finished", make) / "study")


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished study, to be changed at will."""
    return finished.copied_to(tmp_path / "copy")


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[str], Project]:
    """A project that has not run yet, with the config given."""
    return lambda config=CONFIG: new_project(tmp_path / "fresh", config)
