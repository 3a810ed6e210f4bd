"""The files of the activation cache: written whole, kept under a cap, counted, without any locks.

A cache file never changes. It is written under a temporary name, synced and renamed, so that
readers on any node see all of it or nothing, and two writers of one file leave one of their equal
files. A file's time of modification is when it was last used, by the clock of the file system.
Files and folders have the permissions of the directory's folder, whatever their writer's umask.
Nothing here needs torch.
"""

import errno
import logging
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from timelapse.errors import UserError
from timelapse.files.shared_folders import (
    PART,
    adopt_permissions,
    make_folder,
    remove_abandoned,
    rename,
    sync,
)
from timelapse.machine.disks import free_bytes

FOLDER = "activations"
"""Where a study's store keeps activations; beside it lie training states."""

GB = 10**9

_SUFFIX = ".safetensors"
_COUNTS = "counts"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REMEDY = (
    "Free space there, move `store` to a larger disk, halve the activations with "
    "`activations: {dtype: float16}`, or do without the store with `activations: {cap_gb: 0}`"
)
_OPEN = (
    "Let everybody who shares the store write to it (see docs/store.md), name a folder of your own "
    "as `store`, or do without with `activations: {cap_gb: 0}`"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheContents:
    """How much a directory holds, and how often something was found there or not."""

    files: int
    bytes: int
    hits: int
    misses: int


class CacheDirectory:
    """A folder of cache files.

    Attributes:
        folder: made when the first file is written.
        cap: bytes that the files may take together; those least recently used are removed. With 0
            nothing is kept. Writers at the same time may pass it, each by 1 % or, if that is more,
            by the file that it writes.
    """

    def __init__(self, folder: Path, cap: int) -> None:
        self.folder, self.cap = folder, cap
        self._room = 0

    def find(self, key: str) -> list[Path]:
        """The files of a key, in the order of their names."""
        return sorted((self.folder / key[:2]).glob(f"{key}-*{_SUFFIX}"))

    def add(self, key: str, name: str, content: bytes) -> None:
        """Write a file, unless it alone is larger than the cap.

        Args:
            key: what its tensors were computed from, see `keys.block_key`.
            name: tells files of one key apart.
            content: the whole file.

        Raises:
            UserError: the folder cannot be written or its disk is full; nothing is left behind.
        """
        if len(content) > self.cap:
            if self.cap:
                _log.warning("%s: a file of %d bytes is above the cap", self.folder, len(content))
            return
        self._make_room(len(content))
        target = self.folder / key[:2] / f"{key}-{name}{_SUFFIX}"
        part = target.with_name(f".{target.stem}.{uuid.uuid4().hex}{PART}")
        try:
            self._make_folder(target.parent)
            with part.open("xb") as file:
                adopt_permissions(part)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            rename(part, target)
            sync(target.parent)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise self._refusal(error, len(content)) from error

    def touch(self, file: Path) -> None:
        """Note that a file was used, if one may write to it."""
        with suppress(OSError):
            os.utime(file)

    def remove(self, file: Path) -> bool:
        """Remove a file; another process may have done so.

        Returns:
            Whether it is gone.
        """
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            return error.errno == errno.ESTALE
        return True

    def count(self, found: bool) -> None:
        """Note a hit or a miss: a byte more in a file that only this host appends to."""
        if not self.cap:
            return
        counts = self.folder / _COUNTS / f"{'hits' if found else 'misses'}.{socket.gethostname()}"
        with suppress(OSError):
            self._make_folder(counts.parent)
            with counts.open("ab") as file:
                file.write(b".")
            adopt_permissions(counts)

    def contents(self) -> CacheContents:
        """Look through the folder for what it holds now."""
        sizes = [size for _, size, _ in self._files()]
        return CacheContents(len(sizes), sum(sizes), self._counted("hits"), self._counted("misses"))

    def free(self) -> int:
        """Bytes free on the disk that the folder lies or will lie on."""
        return free_bytes(self.folder)

    def _counted(self, what: str) -> int:
        return sum(file.stat().st_size for file in self.folder.glob(f"{_COUNTS}/{what}.*"))

    def _make_folder(self, folder: Path) -> None:
        make_folder(self.folder)
        make_folder(folder)

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """When each file was last used, its size and its path."""
        for path in self.folder.glob(f"??/*{_SUFFIX}"):
            with suppress(OSError):
                found = path.stat()
                yield found.st_mtime_ns, found.st_size, path

    def _make_room(self, size: int) -> None:
        """Remove what was used least recently; look through the folder every 1 % of the cap."""
        if size > self._room:
            for folder in (self.folder.parent, self.folder, *self.folder.glob("??")):
                remove_abandoned(folder)
            self._room = max(size, self.cap // 100)
            files = sorted(self._files())
            held = sum(bytes_ for _, bytes_, _ in files)
            for _, bytes_, path in files:
                if held + self._room <= self.cap:
                    break
                if self.remove(path):
                    held -= bytes_
        self._room -= size

    def _refusal(self, error: OSError, size: int) -> UserError:
        reason = (error.strerror or str(error)).lower()
        problem = f"{size:,} bytes of activations cannot be written there ({reason}"
        if error.errno in _FULL:
            problem += f"; {self.free():,} bytes are free"
        denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        return UserError(self.folder, "", f"{problem})", _OPEN if denied else _REMEDY)


def check_free_space(directory: CacheDirectory, wanted: int) -> None:
    """Refuse a job whose activations do not fit on the disk.

    Args:
        directory: where they go.
        wanted: bytes that the job adds.

    Raises:
        UserError: the disk has less room than the job adds, up to the cap.
    """
    growth = min(wanted, max(directory.cap - directory.contents().bytes, 0))
    free = directory.free()
    if growth > free:
        problem = f"{growth:,} bytes are needed for activations, {free:,} are free on its disk"
        raise UserError(directory.folder, "", problem, _REMEDY)
