"""The base model that is shipped: whole, small, fit for the tasks, and what its recipe makes."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from projects import ROOT, Project, new_project

from timelapse.models.checkpoints import verify
from timelapse.models.loading import load_tokenizer
from timelapse.models.prompts import encode
from timelapse.tasks.dataset import read_dataset, write_datasets
from timelapse.tasks.spec import load_spec

SHIPPED = ROOT / "models" / "base"
MOST_BYTES = 8_000_000
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
SHORT = """\
extends: studies/base_model.yaml
models: {base: {embedded: {steps: 4}}}
"""


def test_the_shipped_model_is_what_was_written() -> None:
    verify(SHIPPED, required=True)


def test_the_shipped_model_is_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= MOST_BYTES


def test_the_default_study_starts_from_the_shipped_model() -> None:
    assert DEFAULT["models"] == {"base": {"folder": str(SHIPPED.relative_to(ROOT))}}


@pytest.mark.parametrize(
    "task", sorted({*DEFAULT["runs"]["two_to_three"]["evaluate"]} | {"months", "repeated_words"})
)
def test_the_shipped_model_knows_the_words_of_a_task(task: str, tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    write_datasets(load_spec(ROOT / "tasks" / f"{task}.yaml"), 0, {"test": path})
    dataset = read_dataset(path)
    prompts = encode(dataset, load_tokenizer(SHIPPED), path)
    assert sum(map(len, prompts)) == len(dataset)


def test_a_short_version_of_the_recipe_makes_a_model_of_the_shipped_shape(tmp_path: Path) -> None:
    project: Project = new_project(tmp_path / "project", (ROOT / "config.yaml").read_text())
    shutil.copytree(ROOT / "studies", project.folder / "studies", dirs_exist_ok=True)
    (project.folder / "short.yaml").write_text(SHORT)
    target = "results/models/base"
    done = project.snakemake("--cores", "2", "--configfile", "short.yaml", "--", target)
    assert done.returncode == 0, done.stdout + done.stderr
    made = project.folder / target
    assert json.loads((made / "config.json").read_text()) == json.loads(
        (SHIPPED / "config.json").read_text()
    )
    assert (made / "tokenizer.json").read_text() == (SHIPPED / "tokenizer.json").read_text()
