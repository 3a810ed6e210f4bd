"""Trainings under way in a store: each in a folder of its own, continued by others if it dies.

Two processes may train the same thing at once, in two studies or on two nodes. Each works in a
folder that carries its name, so neither disturbs the other, and both end with equal bytes. A folder
is taken over by renaming it, which only one can do, when its owner is gone. Whoever fails takes its
name off. Of whoever was killed the process is looked for on its own machine, and from elsewhere its
heartbeat, by the file system's clock. No locks are used.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil
import torch

from timelapse.files.shared_folders import adopt_permissions, make_folder, now, remove_abandoned
from timelapse.models.checkpoints import GONE, discard
from timelapse.models.device import rounding
from timelapse.provenance import fingerprint

FOLDER = "training"
"""Where a study's store keeps the states of trainings."""
HEARTBEAT = "heartbeat"
BEAT = 30.0
"""Seconds between two touches of a training's heartbeat."""
SILENT = 180.0
"""Seconds without one after which other machines hold a training for dead. Nodes see each other's
files with up to a minute's delay."""
FORGOTTEN = 30 * 86400.0
"""Seconds after which a dead training that nobody has continued is removed."""

_FREE = "free"
"""Stands in the name of a training in its owner's place when it has left it. No machine is called
so: their names end in a digest."""
_POLL = 2.0
_log = logging.getLogger(__name__)


def training_key(files: Iterable[Path], values: object) -> str:
    """What the state of a training is filed under: all that its numbers depend on.

    The device counts as it is set up by then, see `device.Device.for_training`.

    Args:
        files: what it reads, its code included.
        values: its other inputs.
    """
    device = rounding("cuda" if torch.cuda.is_available() else "cpu")
    return fingerprint(files, [values, torch.get_num_threads(), device])


@contextmanager
def claimed(store: Path, key: str) -> Iterator[Path]:
    """A folder to train in: an abandoned one with its state, or a new one.

    It is removed when all went well, and otherwise left to whoever trains the same next.
    """
    trainings = store / FOLDER
    make_folder(trainings)
    folder = trainings / f"{key}.{_machine()}.{os.getpid()}.{_started()}.{uuid.uuid4().hex[:8]}"
    try:
        _claim(trainings, key, folder)
        with _beating(folder / HEARTBEAT):
            yield folder
    except BaseException:
        with suppress(OSError):
            folder.rename(trainings / f"{key}.{_FREE}.{uuid.uuid4().hex}")
        raise
    discard(folder)
    with suppress(OSError):
        _clean_up(trainings, key)


def _claim(trainings: Path, key: str, own: Path) -> None:
    """Rename the training of a key that has come furthest and has no owner, or begin a new one.

    If another machine has come further and may just have died, it is waited for, until its
    heartbeat moves or it has been silent for long enough: starting over would lose more.
    """
    heard: dict[Path, float] = {}
    deadline = time.monotonic() + 2 * SILENT  # should the file system's clock be wrong
    while True:
        for folder, progress in _furthest_first(trainings, key):
            with suppress(OSError):  # others may rename it, too
                lives = _owner_lives(folder)
                if lives is False:
                    (folder / HEARTBEAT).touch()  # so that nobody takes it from its next owner
                    folder.rename(own)
                    return
                unclear = lives is None and progress >= 0 and time.monotonic() < deadline
                if unclear and not _beats(folder, heard):
                    break
        else:
            make_folder(own)
            return
        time.sleep(_POLL)


def _furthest_first(trainings: Path, key: str) -> list[tuple[Path, int]]:
    """The trainings of a key with the last step of which they have a state."""
    found = [(path, _progress(path)) for path in trainings.glob(f"{key}.*") if path.suffix != GONE]
    return sorted(found, key=lambda training: training[1], reverse=True)


def _beats(folder: Path, heard: dict[Path, float]) -> bool:
    """Whether a training has been heard since it was asked about first, which is noted."""
    last = _last_beat(folder)
    if folder not in heard:
        heard[folder] = last
        _log.info(
            "%s is of another machine: waiting until it is heard, or has been silent for %d s and "
            "can be continued",
            folder,
            SILENT,
        )
    return last != heard[folder]


def _progress(folder: Path) -> int:
    with suppress(OSError, ValueError, KeyError, TypeError):
        state = json.loads((folder / "state" / "trainer_state.json").read_text(encoding="utf-8"))
        return int(state["global_step"])
    return -1


def _owner_lives(folder: Path) -> bool | None:
    """Whether somebody works on a training; None if it cannot be told yet.

    Raises:
        OSError: the folder is gone.
    """
    _, machine, pid, started, *_ = [*folder.name.split("."), "", "", "0", ""]
    if machine == _FREE:
        return False
    if machine == _machine():
        try:
            process = psutil.Process(int(pid))
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return False
            if abs(process.create_time() - float(started)) < 2:
                return True
        except psutil.NoSuchProcess:
            return False
        except (psutil.AccessDenied, ValueError):
            pass
    return False if _silence(folder) > SILENT else None


def _silence(folder: Path) -> float:
    """Seconds since the last heartbeat of a training."""
    return now(folder.parent) - _last_beat(folder)


def _last_beat(folder: Path) -> float:
    """When a training was last heard, or was made."""
    heartbeat = folder / HEARTBEAT
    return (heartbeat if heartbeat.exists() else folder).stat().st_mtime


def _clean_up(trainings: Path, key: str) -> None:
    """Remove the remains of a finished training, and those that nobody has continued for long."""
    for folder in (trainings.parent, trainings):
        remove_abandoned(folder)
    for folder in trainings.iterdir():
        with suppress(OSError):
            if folder.suffix == GONE:
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir() and not folder.name.startswith("."):
                of_key = folder.name.startswith(f"{key}.")
                if _owner_lives(folder) is False and (of_key or _silence(folder) > FORGOTTEN):
                    discard(folder)


@contextmanager
def _beating(heartbeat: Path) -> Iterator[None]:
    """Touch a file from time to time."""
    heartbeat.touch()
    adopt_permissions(heartbeat)
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(heartbeat, done), daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()


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
