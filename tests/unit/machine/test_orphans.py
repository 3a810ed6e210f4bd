"""A job ends with the Snakemake that started it, and with nothing else."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from timelapse.machine.shutdown import SNAKEMAKE
from timelapse.provenance import SCRIPTS

JOB = f"""
import os, sys, time
sys.path.insert(0, {str(SCRIPTS)!r})
from timelapse.machine.shutdown import end_with_snakemake
time.sleep(float(sys.argv[1]))
end_with_snakemake()
print(os.getpid(), os.getppid(), flush=True)
time.sleep(60)
"""
DEADLINE = 30


def snakemake(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that sets itself up as a Snakemake, and starts a job through another process."""
    start = (
        f"import os, subprocess, sys; os.environ[{SNAKEMAKE!r}] = str(os.getpid()); "
        "subprocess.run([sys.executable, '-c', "
        "'import subprocess, sys; subprocess.run([sys.executable, \"-c\", *sys.argv[1:]])', "
        "*sys.argv[1:]])"
    )
    command = [sys.executable, "-c", start, code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def gone(number: int) -> bool:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            if psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_a_job_and_what_is_between_end_with_their_snakemake() -> None:
    with snakemake(JOB, "0") as process:
        assert process.stdout is not None
        job, between = map(int, process.stdout.readline().split())
        assert psutil.Process(job).status() != psutil.STATUS_ZOMBIE
        process.kill()
        assert gone(job) and gone(between)


def test_a_job_that_starts_after_its_snakemake_has_died_ends_at_once(tmp_path: Path) -> None:
    with snakemake(JOB, "2") as process:
        time.sleep(0.5)
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == ""


def test_a_process_that_no_snakemake_started_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(SNAKEMAKE, raising=False)
    done = subprocess.run(
        [sys.executable, "-c", JOB.replace("time.sleep(60)", "time.sleep(1.5)"), "0"],
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.returncode == 0 and done.stdout
