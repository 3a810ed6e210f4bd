"""A GPU of its own for every job of a machine, chosen before torch is imported.

Snakemake starts as many jobs as there are cores and does not say which GPU each may use. A job
therefore takes the lock of a free one, which the kernel releases however the job ends. Where a
scheduler has given the job its GPU, that one is used.
"""

import errno
import logging
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from timelapse.errors import UserError

LOCKS = Path(tempfile.gettempdir()) / "circuit-timelapse-gpus"
"""On this machine's own disk: a lock says nothing about the GPUs of another node."""

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER = Path("/proc/driver/nvidia/version")

_POLL = 0.5
_DEVICE = re.compile(r"^(\s*)(?:GPU|MIG) .*\(UUID: ([\w-]+)\)", re.MULTILINE)
_log = logging.getLogger(__name__)
_locks: list[object] = []


def choose_gpu(wanted: bool, locks: Path = LOCKS) -> None:
    """Let this process see one GPU that no other job has, or none; waits until one is free.

    `CUDA_VISIBLE_DEVICES` names it from then on. If that is set already, a single device there is
    used as it is, and of several one is taken.

    Args:
        wanted: whether the job gains from a GPU and may have one.
        locks: a folder on a local disk that all jobs of the machine share.

    Raises:
        UserError: the locks cannot be kept there.
    """
    if not wanted:
        os.environ[VISIBLE] = ""
        return
    given = os.environ.get(VISIBLE)
    candidates = gpus() if given is None else _visible(given)
    if given is None or len(candidates) > 1:
        os.environ[VISIBLE] = _locked(candidates, locks) if candidates else ""
    if os.environ[VISIBLE]:
        _log.info("GPU %s", os.environ[VISIBLE])


def gpus() -> list[str]:
    """The UUIDs of the GPUs that the driver offers; of a partitioned one those of its parts."""
    if not shutil.which("nvidia-smi"):
        if DRIVER.exists():
            _log.warning("nvidia-smi is not there to list the GPUs: set %s to use them", VISIBLE)
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return _parsed(listed.stdout) if listed.returncode == 0 else []


def _visible(given: str) -> list[str]:
    """The devices in `CUDA_VISIBLE_DEVICES`; of several numbers, the UUIDs that locks go by."""
    names = [name.strip() for name in given.split(",") if name.strip()]
    if len(names) > 1 and all(name.isdecimal() for name in names):
        offered = gpus()
        if all(int(name) < len(offered) for name in names):
            return [offered[int(name)] for name in names]
    return names


def _parsed(text: str) -> list[str]:
    """The UUIDs in what `nvidia-smi -L` prints.

    >>> _parsed("GPU 0: H100 (UUID: GPU-a)\\n  MIG 1g.10gb Device 0: (UUID: MIG-b)\\n")
    ['MIG-b']
    """
    found: list[str] = []
    whole = ""
    for indent, name in _DEVICE.findall(text):
        if not indent:
            whole = name
        elif found and found[-1] == whole:
            found.pop()
        found.append(name)
    return found


def _locked(candidates: Sequence[str], locks: Path) -> str:
    """The first candidate whose lock is free; this process holds the lock until it ends."""
    from filelock import FileLock, Timeout  # a twentieth of a second that other jobs need not spend

    try:
        locks.mkdir(exist_ok=True)
        if locks.stat().st_uid == os.getuid():
            locks.chmod(0o777)
        if not os.access(locks, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UserError(
            locks,
            "",
            f"the locks of the GPUs cannot be kept there ({(error.strerror or '').lower()})",
            f"Let everybody write there, set TMPDIR, or choose a GPU with {VISIBLE}",
        ) from error
    reported = False
    while True:
        for name in candidates:
            lock = FileLock(locks / re.sub(r"[^\w-]", "_", name), mode=0o666)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            _locks.append(lock)
            return name
        if not reported:
            _log.info("waiting for a GPU: all %d are in use by other jobs", len(candidates))
            reported = True
        time.sleep(_POLL)
