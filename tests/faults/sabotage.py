"""A saboteur: kills jobs of a running Snakemake, one of each kind, at random moments."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import psutil

_SCRIPT = re.compile(r"\.snakemake/scripts/tmp\w+\.\w+\.py$")
_LOG = re.compile(rb"logs/(\w+)/")
"""In the script of a job: the folder of its log, which is called like its rule."""
_POLL = 0.05


class Snakemake:
    """A Snakemake that runs beside the test.

    Attributes:
        log: what it prints.
    """

    def __init__(self, folder: Path, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *arguments],
                cwd=folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._root = psutil.Process(self._process.pid)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def finished_jobs(self) -> int:
        return self.log.read_text(errors="replace").count("Finished jobid")

    def jobs(self) -> dict[psutil.Process, str]:
        """The processes of its jobs, each with its rule."""
        found = {}
        try:
            processes = self._root.children(recursive=True)
        except psutil.NoSuchProcess:
            return {}
        for process in processes:
            try:
                script = process.cmdline()[-1]
                if _SCRIPT.search(script) and process.name().startswith("python"):
                    log = _LOG.search((Path(process.cwd()) / script).read_bytes())
                    found[process] = log[1].decode()
            except (psutil.Error, IndexError, OSError):
                continue
        return found

    def kill(self) -> list[psutil.Process] | None:
        """SIGKILL it alone; returns the jobs that it leaves behind, if it had not ended before."""
        left = list(self.jobs())
        self._process.kill()
        return left if self._process.wait() == -signal.SIGKILL else None

    def wait(self, timeout: float = 900) -> int:
        return self._process.wait(timeout)


class Saboteur:
    """Kills a job of every kind, once, at a random moment of its life.

    Attributes:
        killed: the kinds of which a job was killed.
    """

    def __init__(self, seconds: Mapping[str, float], random: np.random.Generator) -> None:
        """
        Args:
            seconds: how long the shortest job of each kind takes, undisturbed.
            random: draws the moments.
        """
        self.killed: set[str] = set()
        self._seconds, self._random = dict(seconds), random
        self._due: dict[psutil.Process, float] = {}

    @property
    def kinds(self) -> set[str]:
        """The kinds of which a job is still to be killed, and was."""
        return self._seconds.keys() | self.killed

    def look(self, snakemake: Snakemake) -> None:
        """Note new jobs, and kill those whose moment has come."""
        for process, kind in snakemake.jobs().items():
            if kind in self.killed or kind not in self._seconds:
                continue
            now = time.monotonic()
            moment = self._due.setdefault(
                process, now + self._seconds[kind] * self._random.random()
            )
            if now >= moment:
                process.kill()
                self.killed.add(kind)
                self._seconds.pop(kind)

    def accompany(
        self, snakemake: Snakemake, until_finished: int | None = None
    ) -> list[psutil.Process] | None:
        """Work until Snakemake ends; kill it too once so many jobs are finished.

        Returns:
            the jobs that it left behind, if Snakemake was killed.
        """
        while snakemake.running:
            self.look(snakemake)
            if until_finished is not None and snakemake.finished_jobs >= until_finished:
                return snakemake.kill()
            time.sleep(_POLL)
        return None
