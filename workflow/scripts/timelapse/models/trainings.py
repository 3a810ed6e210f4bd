"""Trainings under way in a store: each in a folder of its own, continued by others if it dies.

Two processes may train the same thing at once, in two studies or on two nodes. Each works in a
folder that carries its name, so neither disturbs the other, and both end with equal bytes. A folder
is taken over by renaming it, which only one can do, when its owner is gone: on its own machine the
process is looked for; from elsewhere its heartbeat, by the file system's clock. No locks are used.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil
import torch

from timelapse.files.sharing import adopt_permissions, make_folder, now
from timelapse.models.checkpoints import GONE, discard
from timelapse.provenance import fingerprint

FOLDER = "training"
"""Where a study's store keeps the states of trainings."""
HEARTBEAT = "heartbeat"
BEAT = 30.0
"""Seconds between two touches of a training's heartbeat."""
SILENT = 600.0
"""Seconds without one after which other machines hold a training for dead. Nodes see each other's
files with up to a minute's delay."""
FORGOTTEN = 30 * 86400.0
"""Seconds after which a dead training that nobody has continued is removed."""


def training_key(files: Iterable[Path], values: object) -> str:
    """What the state of a training is filed under: all that its numbers depend on.

    Args:
        files: what it reads, its code included.
        values: its other inputs.
    """
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return fingerprint(files, [values, torch.get_num_threads(), device])


@contextmanager
def claimed(store: Path, key: str) -> Iterator[Path]:
    """A folder to train in: an abandoned one with its state, or a new one.

    It is removed when all went well, and otherwise left to whoever trains the same next.
    """
    trainings = store / FOLDER
    make_folder(trainings)
    folder = trainings / f"{key}.{_machine()}.{os.getpid()}.{_started()}.{uuid.uuid4().hex[:8]}"
    if not _take_over(trainings, key, folder):
        make_folder(folder)
    (folder / HEARTBEAT).touch()
    adopt_permissions(folder / HEARTBEAT)
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(folder / HEARTBEAT, done), daemon=True)
    beating.start()
    try:
        yield folder
    finally:
        done.set()
        beating.join()
    discard(folder)
    with suppress(OSError):
        _clean_up(trainings, key)


def _take_over(trainings: Path, key: str, own: Path) -> bool:
    """Rename the abandoned training of a key that has come furthest."""
    for folder in sorted(trainings.glob(f"{key}.*"), key=_progress, reverse=True):
        with suppress(OSError):
            if folder.suffix != GONE and _abandoned(folder):
                (folder / HEARTBEAT).touch()  # so that nobody takes it over from its next owner
                folder.rename(own)
                return True
    return False


def _progress(folder: Path) -> int:
    with suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads((folder / "state" / "trainer_state.json").read_text(encoding="utf-8"))
        return int(state["global_step"])
    return -1


def _abandoned(folder: Path) -> bool:
    """Whether the owner of a training is gone.

    Raises:
        OSError: the folder is.
    """
    _, machine, pid, started, *_ = [*folder.name.split("."), "", "", "0", ""]
    if machine == _machine():
        try:
            process = psutil.Process(int(pid))
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return True
            if abs(process.create_time() - float(started)) < 2:
                return False
        except psutil.NoSuchProcess:
            return True
        except (psutil.AccessDenied, ValueError):
            pass
    return _silence(folder) > SILENT


def _silence(folder: Path) -> float:
    """Seconds since the last heartbeat of a training, or since it was made."""
    heartbeat = folder / HEARTBEAT
    last = (heartbeat if heartbeat.exists() else folder).stat().st_mtime
    return now(folder.parent) - last


def _clean_up(trainings: Path, key: str) -> None:
    """Remove the remains of a finished training, and those that nobody has continued for long."""
    for folder in trainings.iterdir():
        with suppress(OSError):
            if folder.suffix == GONE:
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir() and not folder.name.startswith("."):
                of_key = folder.name.startswith(f"{key}.")
                if _abandoned(folder) and (of_key or _silence(folder) > FORGOTTEN):
                    discard(folder)


def _beat(heartbeat: Path, done: threading.Event) -> None:
    while not done.wait(BEAT):
        with suppress(OSError):
            os.utime(heartbeat)


def _started() -> int:
    return round(psutil.Process().create_time())


@cache
def _machine() -> str:
    """The host, and where on it process numbers mean the same: since its start, in a container."""
    start, container = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = ""
    with suppress(OSError):
        parts = f"{start.read_text()} {container.readlink()}"
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
    return f"{host}-{hashlib.blake2b(parts.encode(), digest_size=4).hexdigest()}"
