"""Errors that are the disk's fault, whoever raises them."""

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from timelapse.machine.disks import disk_error

FULL = [
    OSError(errno.ENOSPC, "No space left on device", "somewhere/a.parquet"),
    OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
]


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:30])
def test_a_disk_that_is_full_is_told_with_what_is_free(error: Exception, tmp_path: Path) -> None:
    told = disk_error(error, [tmp_path / "results" / "out.parquet"])
    assert told is not None
    assert "bytes are free" in str(told) and "run again" in str(told)
    named = getattr(error, "filename", None) or str(tmp_path / "results" / "out.parquet")
    assert str(told).startswith(named)


def test_the_cause_counts(tmp_path: Path) -> None:
    try:
        try:
            raise FULL[0]
        except OSError as error:
            raise ValueError("could not save") from error
    except ValueError as error:
        told = disk_error(error, [])
    assert told is not None and told.source == "somewhere/a.parquet"


def test_a_refusal_says_nothing_of_room() -> None:
    told = disk_error(OSError(errno.EROFS, "Read-only file system", "results/a.parquet"), [])
    assert told is not None and str(told).startswith(
        "results/a.parquet: read-only file system. Let"
    )


def test_an_error_made_while_a_refusal_was_handled_is_not_the_disks() -> None:
    try:
        try:
            raise OSError(errno.EACCES, "Permission denied")
        except OSError:
            {}["missing"]
    except KeyError as error:
        assert disk_error(error, ["out.parquet"]) is None


def test_of_a_copy_the_target_is_named() -> None:
    told = disk_error(OSError(errno.ENOSPC, "No space left on device", "from", None, "to"), [])
    assert told is not None and told.source == "to"


@pytest.mark.parametrize(
    "error", [ValueError("28"), FileNotFoundError(2, "no such file"), RuntimeError("errno 11")]
)
def test_other_errors_are_not_the_disks(error: Exception) -> None:
    assert disk_error(error, ["out.parquet"]) is None
