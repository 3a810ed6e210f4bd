"""Snakemake's between-workflow cache: what one project has made, another takes."""

from pathlib import Path

import pytest
from projects import Project, new_project

pytestmark = pytest.mark.slow

DATASET = "results/datasets/ioi3/test.parquet"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(folder))
    return folder


def expanded(project: Project) -> bytes:
    """A dataset, taken from the cache or put there."""
    done = project.snakemake("--cores", "1", "--cache", "expand_task", "--", DATASET)
    assert done.returncode == 0, done.stderr
    return (project.folder / DATASET).read_bytes()


def test_a_second_project_takes_datasets_from_the_cache_until_their_code_changes(
    cache: Path, tmp_path: Path
) -> None:
    first, second = new_project(tmp_path / "first"), new_project(tmp_path / "second")
    made = expanded(first)
    entries = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(entries) == 3
    assert expanded(second) == made
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == entries
    assert (second.folder / DATASET).resolve().parent == cache

    third = new_project(tmp_path / "third")
    module = third.folder / "workflow/scripts/timelapse/tasks/dataset.py"
    module.write_text(module.read_text() + "\nCHANGED = 1\n")
    assert expanded(third) == made
    assert len(set(cache.iterdir()) - set(entries)) == 3
