"""Models from elsewhere, and a training that is killed in the middle of a workflow."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest
from projects import CONFIG, Project

FOLDER_STUDY = """\
models:
  local: {folder: given/model}
runs:
  tuned: {model: local, task: ioi3, steps: 2, batch: 2, checkpoints: {every: 1}}
"""


def test_a_local_folder_is_a_model_like_any_other(
    finished: Project, fresh: Callable[[str], Project]
) -> None:
    project = fresh(FOLDER_STUDY)
    (project.folder / "given").mkdir()
    (project.folder / "given" / "model").symlink_to(finished.folder / "results/models/base")
    target = "results/runs/tuned/ioi3/win_rate/step-000002.parquet"
    done = project.snakemake("--cores", "2", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pq.read_table(project.folder / target)["n"].to_pylist() == [400]


def test_a_folder_without_a_model_is_told(fresh: Callable[[str], Project]) -> None:
    project = fresh(FOLDER_STUDY)
    done = project.snakemake("--cores", "1", "results/models/local")
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert printed.count("error: given/model") == 1
    assert "Traceback" not in printed


@pytest.mark.slow
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
    seen = "*/checkpoints/step-000002"
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
