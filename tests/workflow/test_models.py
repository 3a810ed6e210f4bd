"""Models from elsewhere, and a training that is killed in the middle of a workflow."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from projects import CONFIG, Project

from timelapse.models.checkpoints import save_checkpoint
from timelapse.models.embedded import new_model, word_tokenizer
from timelapse.tasks.spec import load_spec

pytestmark = pytest.mark.slow

FOLDER_STUDY = """\
models:
  local: {folder: given/model}
runs:
  tuned: {model: local, task: ioi3, steps: 2, batch: 2, checkpoints: {every: 1}}
"""


def give_model(project: Project, seed: int = 0) -> Path:
    """Make `given/model` in a project: an untrained model that knows the words of ioi3."""
    folder = project.folder / "given" / "model"
    tokenizer = word_tokenizer(load_spec(project.folder / "tasks" / "ioi3.yaml").words())
    settings = {"layers": 1, "heads": 2, "width": 16, "context": 32}
    save_checkpoint(new_model(settings, tokenizer, seed), tokenizer, folder)
    return folder


def test_a_local_folder_is_a_model_like_any_other(fresh: Callable[[str], Project]) -> None:
    project = fresh(FOLDER_STUDY)
    elsewhere = give_model(project).rename(project.folder / "elsewhere")
    (project.folder / "given" / "model").symlink_to(elsewhere)
    target = "results/runs/tuned/ioi3/win_rate/000000-000002.parquet"
    done = project.snakemake("--cores", "2", target)
    assert done.returncode == 0, done.stdout + done.stderr
    table = pq.read_table(project.folder / target)
    assert table["step"].to_pylist() == [0, 1, 2]
    assert table["n"].to_pylist() == [408] * 3


def test_another_model_in_the_folder_is_another_model(fresh: Callable[[str], Project]) -> None:
    project = fresh(FOLDER_STUDY)
    give_model(project)
    assert project.snakemake("--cores", "1", "results/models/local").returncode == 0
    assert project.planned("results/models/local") == {}
    give_model(project, seed=1)
    assert project.planned("results/models/local") == {"fetch_model": 1}


def test_runs_with_one_recipe_do_not_disturb_each_other(fresh: Callable[[str], Project]) -> None:
    twin = "  twin: {model: local, task: ioi3, steps: 2, batch: 2, checkpoints: {every: 1}}\n"
    project = fresh(FOLDER_STUDY + twin)
    give_model(project)
    twins = [f"results/runs/{run}/training.parquet" for run in ("twin", "tuned")]
    done = project.snakemake("--cores", "4", *twins)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list((project.folder / ".cache/timelapse/training").iterdir())


def test_a_workflow_killed_while_it_trains_ends_as_if_undisturbed(
    finished: Project, fresh: Callable[[str], Project]
) -> None:
    project = fresh(CONFIG)
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", "results/runs/tiny/training.parquet"],
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    seen = "*/step-000002"
    trainings = project.folder / ".cache/timelapse/training"
    while not list(trainings.glob(seen)) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(trainings.glob(seen))
    assert not (project.folder / "results/runs/tiny/training.parquet").exists()
    project.snakemake("--unlock")
    done = project.snakemake("--cores", "2", "results/runs/tiny/training.parquet")
    assert done.returncode == 0, done.stdout + done.stderr
    for step in ("000000", "000002", "000004"):
        weights = f"results/runs/tiny/checkpoints/step-{step}/model.safetensors"
        assert (project.folder / weights).read_bytes() == (finished.folder / weights).read_bytes()
