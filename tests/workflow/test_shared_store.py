"""Two studies on one store at the same time."""

import subprocess
import sys
from pathlib import Path

import pytest
from projects import CONFIG, Project, new_project

pytestmark = pytest.mark.slow

RUN = "results/runs/tiny"
TARGETS = (f"{RUN}/training.parquet", f"{RUN}/ioi3/logit_diff/000000-000004.parquet")


def test_two_studies_at_once_end_like_undisturbed_ones(finished: Project, tmp_path: Path) -> None:
    store = tmp_path / "the store"
    config = f"{CONFIG}store: {store}\n"
    studies = [new_project(tmp_path / f"study {number}", config) for number in (1, 2)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "2", *TARGETS],
            cwd=study.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for study in studies
    ]
    for process in running:
        printed, _ = process.communicate(timeout=900)
        assert process.returncode == 0, printed
    compared = 0
    for study in studies:
        files = [
            *(study.folder / RUN / "checkpoints").glob("*/model.safetensors"),
            study.folder / "results/models/base/model.safetensors",
            *(study.folder / RUN / "ioi3/logit_diff").glob("*.parquet"),
        ]
        for path in files:
            undisturbed = finished.folder / path.relative_to(study.folder)
            assert path.read_bytes() == undisturbed.read_bytes(), path
        compared += len(files)
    assert compared == 2 * 7
    assert not list((store / "training").iterdir())
    assert not list((store / "activations").glob("*/.*"))
