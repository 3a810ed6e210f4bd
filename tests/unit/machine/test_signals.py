"""A job that is asked to end leaves its context managers, also by the loss of its Snakemake."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import psutil
import pytest

from timelapse.machine import shutdown
from timelapse.machine.shutdown import end_on_sigterm

FORK = multiprocessing.get_context("fork")


def tidying(pipe: Connection) -> None:
    """Wait for the end, and tidy up when told to."""
    end_on_sigterm()
    try:
        pipe.send("ready")
        pipe.recv()
    finally:
        pipe.send("asked to end")
        pipe.recv()
        pipe.send("tidied up")


def stubborn(pipe: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe.send("ready")
    pipe.recv()


class Job:
    """A process that does something; its Snakemake, if it has one, can be killed."""

    def __init__(self, act: Callable[[Connection], None], grace: float) -> None:
        self.snakemake = FORK.Process(target=signal.pause)
        self.snakemake.start()
        watched = psutil.Process(self.snakemake.pid)
        self.pipe, theirs = FORK.Pipe()

        def job() -> None:
            shutdown._POLL, shutdown._GRACE = 0.01, grace
            threading.Thread(target=shutdown._watch, args=(watched, []), daemon=True).start()
            act(theirs)

        self.process = FORK.Process(target=job, daemon=True)
        self.process.start()
        assert self.hear() == "ready"

    def hear(self) -> str:
        assert self.pipe.poll(60)
        return self.pipe.recv()

    def ask_to_end(self) -> None:
        os.kill(self.process.pid, signal.SIGTERM)

    def kill_snakemake(self) -> None:
        self.snakemake.kill()
        self.snakemake.join()


@pytest.fixture
def start() -> Iterator[Callable[..., Job]]:
    jobs: list[Job] = []

    def started(act: Callable[[Connection], None], grace: float = 60) -> Job:
        jobs.append(Job(act, grace))
        return jobs[-1]

    yield started
    for job in jobs:
        job.process.kill()
        job.kill_snakemake()


@pytest.mark.parametrize("end", [Job.ask_to_end, Job.kill_snakemake])
def test_a_job_tidies_up_before_it_ends(
    start: Callable[..., Job], end: Callable[[Job], None]
) -> None:
    job = start(tidying)
    end(job)
    assert job.hear() == "asked to end"
    job.ask_to_end()
    job.pipe.send(None)
    assert job.hear() == "tidied up"
    job.process.join(60)
    assert job.process.exitcode == 128 + signal.SIGTERM


def test_a_job_that_does_not_heed_the_loss_of_its_snakemake_is_ended(
    start: Callable[..., Job],
) -> None:
    job = start(stubborn, grace=0.01)
    job.kill_snakemake()
    job.process.join(60)
    assert job.process.exitcode == 1
