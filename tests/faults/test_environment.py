"""What surrounds a study goes wrong: odd directories, nothing can be written, it is interrupted."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from projects import Project, new_project
from read_only import read_only

pytestmark = pytest.mark.faults

RUN = "results/runs/tiny"
PART = "000000-000004.parquet"
WIN_RATES = f"{RUN}/ioi3/win_rate/{PART}"


def told(done: subprocess.CompletedProcess[str], *hints: str) -> None:
    """Assert that a call failed with a message that has these hints, and without a traceback."""
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in printed
    for hint in hints:
        assert hint in printed


def session(leader: int) -> list[str]:
    """The commands of the living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, *_, of_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(of_session) == leader and state != "Z":
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.fixture
def measuring(copy: Project) -> tuple[Project, subprocess.Popen[str]]:
    """A finished study that lacks its win rates, while Snakemake measures them again."""
    copy.remove(WIN_RATES)
    log = "logs/win_rate/tiny-ioi3-000000-000004.log"
    copy.remove(log)
    process = copy.start("--cores", "1", WIN_RATES)
    copy.wait_for(log, process)
    return copy, process


def goes_on(project: Project, finished: Project) -> None:
    """Assert that the win rates are measured now, and are those of the undisturbed study."""
    done = project.snakemake("--cores", "1", WIN_RATES)
    assert done.returncode == 0, done.stdout + done.stderr
    measured = [(study.folder / WIN_RATES).read_bytes() for study in (project, finished)]
    assert measured[0] == measured[1]


def test_a_directory_with_odd_characters_changes_no_byte(finished: Project, tmp_path: Path) -> None:
    """From datasets to a film and the edges, in a directory with spaces, quotes, other letters."""
    project = new_project(tmp_path / "John's étude (名 & 2)")
    wanted = [
        f"{RUN}/ioi3/figures/layer.gif",
        f"{RUN}/ioi3/edges/{PART}",
        f"{RUN}/checkpoints/step-000004/model.safetensors",
    ]
    done = project.snakemake("--cores", "2", *wanted[:2])
    assert done.returncode == 0, done.stdout + done.stderr
    for file in wanted:
        assert (project.folder / file).read_bytes() == (finished.folder / file).read_bytes(), file


def test_results_that_cannot_be_written_are_told_before_any_job(copy: Project) -> None:
    copy.remove(WIN_RATES)
    with read_only(copy.folder / "results"):
        told(copy.snakemake(WIN_RATES), "results: nothing can be written", "Make it writable")
        assert copy.planned(WIN_RATES) == {"win_rate": 1}
        there = f"{RUN}/ioi3/logit_diff/{PART}"
        assert copy.snakemake(there).returncode == 0
    assert not list((copy.folder / ".snakemake/locks").glob("*"))


def test_results_that_cannot_be_overwritten_are_named(copy: Project) -> None:
    """Here Snakemake comes first."""
    copy.remove(WIN_RATES)
    with read_only(copy.folder / "results"):
        told(copy.snakemake(WIN_RATES), "Write-protected output files", WIN_RATES)


def test_a_store_that_cannot_be_written_is_told_before_any_job(copy: Project) -> None:
    table = f"{RUN}/ioi3/logit_diff/{PART}"
    film = f"{RUN}/ioi3/figures/layer.gif"
    copy.remove(table)
    with read_only(copy.folder / ".cache/timelapse"):
        told(copy.snakemake(table), ".cache/timelapse: store: nothing can be written", "config")
        copy.remove(f"{RUN}/ioi2/figures/layer.gif")
        done = copy.snakemake(f"{RUN}/ioi2/figures/layer.gif")
        assert done.returncode == 0, done.stdout + done.stderr
    assert (copy.folder / film).exists()


def test_a_directory_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    project = new_project(tmp_path / "study")
    with read_only(project.folder):
        told(project.snakemake("-n"), "nothing can be written there", "Run in a directory")


def test_a_lock_that_a_kill_has_left_is_told_with_the_command_that_removes_it(
    measuring: tuple[Project, subprocess.Popen[str]], finished: Project
) -> None:
    project, process = measuring
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    told(project.snakemake("--cores", "1", WIN_RATES), "snakemake --unlock", "locked")
    assert project.snakemake("--unlock").returncode == 0
    goes_on(project, finished)


def test_an_interrupt_ends_everything_and_leaves_no_lock(
    measuring: tuple[Project, subprocess.Popen[str]], finished: Project
) -> None:
    project, process = measuring
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() != 0
    assert session(process.pid) == []
    assert "Traceback" not in project.printed
    assert not list((project.folder / ".snakemake/locks").glob("*"))
    goes_on(project, finished)
