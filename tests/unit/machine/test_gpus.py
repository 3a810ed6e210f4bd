"""Every job has a GPU of its own; nvidia-smi is played by a script."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from timelapse.errors import UserError
from timelapse.machine import gpus
from timelapse.machine.gpus import VISIBLE, choose_gpu

TWO = "GPU 0: Stand-in (UUID: GPU-aa)\nGPU 1: Stand-in (UUID: GPU-bb)\n"
DEADLINE = 30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two GPUs, and the folder of their locks."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<END\n{TWO}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv(VISIBLE, raising=False)
    return tmp_path / "locks"


def job(locks: Path, here: Connection) -> None:
    choose_gpu(True, locks)
    here.send(os.environ[VISIBLE])
    here.recv()


class Job:
    """A process that takes a GPU and keeps it until it is told to end."""

    def __init__(self, locks: Path) -> None:
        context = multiprocessing.get_context("fork")
        self._there, here = context.Pipe()
        self.process = context.Process(target=job, args=(locks, here), daemon=True)
        self.process.start()

    def gpu(self, wait: float = DEADLINE) -> str | None:
        return self._there.recv() if self._there.poll(wait) else None

    def end(self) -> None:
        self._there.send("end")
        self.process.join(DEADLINE)


def test_jobs_at_once_have_different_gpus_and_the_next_waits_for_one(machine: Path) -> None:
    first, second = Job(machine), Job(machine)
    taken = {first: first.gpu(), second: second.gpu()}
    assert sorted(taken.values()) == ["GPU-aa", "GPU-bb"]
    third = Job(machine)
    assert third.gpu(wait=1.5) is None
    second.end()
    assert third.gpu() == taken[second]
    first.end()
    third.end()


def test_a_killed_job_gives_its_gpu_back(machine: Path) -> None:
    jobs = [Job(machine), Job(machine)]
    held = [one.gpu() for one in jobs]
    os.kill(jobs[0].process.pid, signal.SIGKILL)
    jobs[0].process.join(DEADLINE)
    after = Job(machine)
    assert after.gpu() == held[0]
    after.end()
    jobs[1].end()


def test_the_device_that_a_scheduler_has_given_is_used(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VISIBLE, "3")
    choose_gpu(True, machine)
    assert os.environ[VISIBLE] == "3"
    assert not machine.exists()


def test_of_several_visible_devices_a_job_takes_one(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VISIBLE, "GPU-cc, GPU-dd")
    jobs = [Job(machine), Job(machine)]
    assert sorted(one.gpu() or "" for one in jobs) == ["GPU-cc", "GPU-dd"]
    for one in jobs:
        one.end()


def test_numbers_and_uuids_mean_the_same_locks(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_uuid = Job(machine)
    assert by_uuid.gpu() == "GPU-aa"
    monkeypatch.setenv(VISIBLE, "0,1")
    by_number = Job(machine)
    assert by_number.gpu() == "GPU-bb"
    by_uuid.end()
    by_number.end()


def test_a_place_where_no_locks_can_be_kept_is_told(machine: Path) -> None:
    machine.write_text("a file")
    with pytest.raises(UserError, match="locks of the GPUs"):
        choose_gpu(True, machine)


@pytest.mark.parametrize("given", [None, "", "1"])
def test_a_job_without_a_gpu_sees_none(
    machine: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    if given is not None:
        monkeypatch.setenv(VISIBLE, given)
    choose_gpu(False, machine)
    assert os.environ[VISIBLE] == ""


def test_a_machine_without_gpus_is_a_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(VISIBLE, "unset below")
    monkeypatch.delenv(VISIBLE)
    choose_gpu(True, tmp_path / "locks")
    assert os.environ[VISIBLE] == ""


def test_a_driver_that_does_not_answer_leaves_the_cpu(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.parent / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    assert gpus.gpus() == []


def test_the_parts_of_a_partitioned_gpu_stand_for_it() -> None:
    listed = (
        "GPU 0: Stand-in (UUID: GPU-aa)\n"
        "  MIG 1g.10gb     Device  0: (UUID: MIG-1)\n"
        "  MIG 1g.10gb     Device  1: (UUID: MIG-2)\n"
        "GPU 1: Stand-in (UUID: GPU-bb)\n"
    )
    assert gpus._parsed(listed) == ["MIG-1", "MIG-2", "GPU-bb"]


def test_other_people_may_use_the_locks(machine: Path) -> None:
    one = Job(machine)
    name = one.gpu()
    assert machine.stat().st_mode & 0o777 == 0o777
    assert (machine / str(name)).stat().st_mode & 0o666 == 0o666
    one.end()
