"""A job whose Snakemake has been killed ends too.

The next Snakemake in the folder would otherwise start the job once more beside it, and both would
write the same files.
"""

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

_POLL = 0.5


def end_with_snakemake() -> None:
    """End this process as soon as one of the Snakemake processes that it was started by is gone."""
    ancestors = [process for process in psutil.Process().parents() if _is_snakemake(process)]
    if ancestors:
        threading.Thread(target=_watch, args=(ancestors,), daemon=True).start()


def _is_snakemake(process: psutil.Process) -> bool:
    try:
        return any(Path(argument).name == "snakemake" for argument in process.cmdline())
    except psutil.Error:
        return False


def _watch(ancestors: Sequence[psutil.Process]) -> None:
    while all(_lives(process) for process in ancestors):
        time.sleep(_POLL)
    # One between the killed one and this job would clean up its outputs, late.
    for process in ancestors:
        if _lives(process):
            process.kill()
    os._exit(1)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
