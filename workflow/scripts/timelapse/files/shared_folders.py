"""Folders that several people and nodes write to: permissions, the clock, renames, syncing.

What is made in such a folder may be used by whoever may use the folder, whatever the umask of its
maker. Times are compared by the clock of the file system, which all nodes see alike.
"""

import errno
import os
import re
import shutil
import stat
import uuid
from contextlib import suppress
from pathlib import Path

ABANDONED = 3600.0
"""Seconds after which what is still being made has lost its maker."""
PART = ".part"
TAKEN = (errno.EEXIST, errno.ENOTEMPTY)
"""The errors of renaming a folder to a name that another folder has."""
_NEW, _CLOCK = ".new", ".clock"
_PASSING = re.compile(rf"\.(.+\.)?[0-9a-f]{{32}}({PART}|{_NEW}|{_CLOCK})")
"""What is called so while it is made: hidden, with a random name, and nobody's own."""


def make_folder(folder: Path) -> None:
    """Make a folder with the permissions of the one above it, which is made if it is missing.

    It appears with these permissions, so that nobody is shut out meanwhile.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}{_NEW}")
    new.mkdir()
    adopt_permissions(new)
    try:
        new.rename(folder)
    except OSError as error:
        new.rmdir()
        if error.errno not in TAKEN:
            raise


def adopt_permissions(path: Path) -> None:
    """Give a file or folder the permissions of its folder, if it is one's own.

    What is made right in a folder for everybody, such as /tmp, is private to its maker as usual.
    """
    above, mode = path.parent.stat().st_mode, path.stat().st_mode
    if above & stat.S_ISVTX:
        return
    wanted = above & (0o2777 if path.is_dir() else 0o666)
    if mode & (0o2777 if path.is_dir() else 0o777) != wanted:
        with suppress(PermissionError):
            path.chmod(wanted)


def settle(folder: Path) -> None:
    """Give all that lies in a new folder its permissions and bring it to the disk."""
    adopt_permissions(folder)
    for path in folder.iterdir():
        adopt_permissions(path)
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # not every file system can sync folders
            raise
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Rename over what may be there.

    A server that has lost its answer is asked a second time, and then misses the source.
    """
    try:
        source.replace(target)
    except FileNotFoundError:
        if not target.exists() or source.exists():
            raise


def now(folder: Path) -> float:
    """The time by the clock that stamps the files of a folder."""
    probe = folder / f".{uuid.uuid4().hex}{_CLOCK}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove what processes that were killed as they made something have left in a folder."""
    for path in folder.glob(".*"):
        with suppress(OSError):
            passing = _PASSING.fullmatch(path.name)
            if passing and now(folder) - path.stat().st_mtime > ABANDONED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
