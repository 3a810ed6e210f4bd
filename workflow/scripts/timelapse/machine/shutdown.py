"""A job whose Snakemake has been killed ends too.

The next Snakemake in the folder would otherwise start the job once more beside it, and both would
write the same files.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

import psutil

SNAKEMAKE = "TIMELAPSE_SNAKEMAKE"
"""Where the Snakemake that runs the jobs on this machine has left its process number."""

_POLL = 0.5
_GRACE = 3.0
"""Seconds that a job has to leave what it works on in order."""


def end_with_snakemake() -> None:
    """End this process as soon as the Snakemake that has started it is gone, or now if it is.

    Nothing happens in a process that no Snakemake has started.
    """
    if number := os.environ.get(SNAKEMAKE):
        between: list[psutil.Process] = []
        for process in psutil.Process().parents():
            if process.pid == int(number):
                threading.Thread(target=_watch, args=(process, between), daemon=True).start()
                return
            between.append(process)
        os._exit(1)


def _watch(snakemake: psutil.Process, between: Sequence[psutil.Process]) -> None:
    while _lives(snakemake):
        time.sleep(_POLL)
    # They serve this job alone, and would clean up its outputs, late.
    for process in between:
        if _lives(process):
            process.kill()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as `sys.exit` does, so that its context managers are left."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not disturb the tidying up
    sys.exit(128 + number)
