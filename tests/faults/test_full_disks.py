"""A disk that is full: one message, nothing lost, and on it goes when there is room."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from projects import Project

pytestmark = pytest.mark.faults

RUN = "results/runs/tiny"
CASES = {
    "a dataset": ("results/datasets/ioi3", 8, "results/datasets/ioi3/train.parquet"),
    "the state of a training": (".cache/timelapse", 16, "results/models/base"),
    "a checkpoint": (f"{RUN}/checkpoints", 64, f"{RUN}/training.parquet"),
    "a table": (f"{RUN}/ioi3/patching", 8, f"{RUN}/ioi3/patching/000000-000004.parquet"),
    "activations": (
        ".cache/timelapse/activations",
        8,
        f"{RUN}/ioi3/logit_diff/000000-000004.parquet",
    ),
    "a film": (f"{RUN}/ioi3/figures", 64, f"{RUN}/ioi3/figures/layer.gif"),
}
"""Which folder is on a small disk, its KiB, and what is made there."""


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path, int], None]]:
    """Lays a small disk over a folder."""
    mounted: list[Path] = []

    def mount(folder: Path, kib: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        (folder / "other").touch()  # Snakemake removes empty folders, and cannot remove a disk

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def weights_or_bytes(path: Path) -> bytes:
    return (path / "model.safetensors" if path.is_dir() else path).read_bytes()


@pytest.mark.parametrize("case", CASES)
def test_a_full_disk_is_told_and_the_work_goes_on_with_room(
    copy: Project, small_disk: Callable[[Path, int], None], case: str
) -> None:
    place, kib, target = CASES[case]
    folder, wanted = copy.folder / place, copy.folder / target
    before = weights_or_bytes(wanted) if target != f"{RUN}/training.parquet" else b""
    shutil.rmtree(folder)
    if wanted.is_dir():
        shutil.rmtree(wanted)
    else:
        wanted.unlink(missing_ok=True)
    small_disk(folder, kib)
    done = copy.snakemake("--cores", "2", target)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in printed
    assert printed.count("\nerror: ") == 1
    (told,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert "are free on its disk" in told
    assert place in told or str(folder) in told
    subprocess.run(["mount", "-o", f"remount,size={64 * 2**10}k", str(folder)], check=True)
    done = copy.snakemake("--cores", "2", target)
    assert done.returncode == 0, done.stdout + done.stderr
    if before:
        assert weights_or_bytes(wanted) == before
    else:
        assert len(list(folder.glob("step-*"))) == 3
