"""A disk that is full or refuses access, recognised in whatever errors libraries make of it."""

import errno
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from timelapse.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EROFS, errno.EACCES)
_AGAIN = "then run again: what is finished is kept"
_NUMBER = re.compile(r"\b(?:errno|os error) (\d+)\b", re.IGNORECASE)
"""How libraries in C++ and Rust spell the system's error number."""


def disk_error(error: BaseException, written: Iterable[str | Path]) -> UserError | None:
    """The message for a job that ended because of a disk.

    Args:
        error: whatever the job ended with.
        written: where the job writes. If the error does not say which file it was, the one with the
            least room is named.

    Returns:
        the message; None if neither the error nor what it was raised from is a disk's.
    """
    code = _code(error)
    if code is None:
        return None
    named = _file_of(error)
    place = Path(named) if named else min(map(Path, written), key=free_bytes, default=Path())
    problem = os.strerror(code).lower()
    if code in _REFUSED:
        return UserError(place, "", problem, f"Let this user read and write there, {_AGAIN}")
    problem += f"; {free_bytes(place):,} bytes are free on its disk"
    return UserError(place, "", problem, f"Make room there, {_AGAIN}")


def free_bytes(path: Path) -> int:
    """Bytes free on the disk that a path lies or will lie on."""
    return shutil.disk_usage(nearest(path)).free


def nearest(path: str | Path) -> Path:
    """The path itself, or the nearest folder above it that is there for this user to see."""
    path = Path(path).absolute()
    return next(place for place in (path, *path.parents) if _is_seen(place))


def _is_seen(path: Path) -> bool:
    """As `exists`, which raises an error below a folder that may not be entered."""
    try:
        return path.exists()
    except OSError:
        return False


def _code(error: BaseException | None) -> int | None:
    """The error number of the disk behind an error."""
    while error is not None:
        number = _NUMBER.search(str(error))
        code = error.errno if isinstance(error, OSError) else None
        code = int(number[1]) if code is None and number else code
        if code in _FULL + _REFUSED:
            return code
        error = error.__cause__
    return None


def _file_of(error: BaseException | None) -> str | None:
    """The file that an error names; of a copy where it goes to, which is the second."""
    while error is not None:
        for name in (getattr(error, "filename2", None), getattr(error, "filename", None)):
            if isinstance(name, str | os.PathLike):
                return os.fspath(name)
        error = error.__cause__
    return None
