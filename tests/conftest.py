"""A tiny study, run once from end to end, and copies of it to change things in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from projects import CONFIG, Project, new_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny study after `snakemake`; not to be changed."""
    project = new_project(tmp_path_factory.mktemp("finished") / "study")
    done = project.watched("--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def copy(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished study, to be changed at will."""
    return finished.copied_to(tmp_path / "copy")


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[str], Project]:
    """A project that has not run yet, with the config given."""
    return lambda config=CONFIG: new_project(tmp_path / "fresh", config)
