"""The store's files: whole or not there, under the cap, and safe with many writers."""

import errno
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from timelapse.activations.cache import report
from timelapse.activations.cache_directory import Shelf, check_room
from timelapse.errors import UserError


def keys_on(shelf: Shelf) -> str:
    return "".join(
        sorted(path.name.partition("-")[0][-1] for path in shelf.folder.glob("*/*.safetensors"))
    )


def add(shelf: Shelf, letters: str, size: int) -> None:
    """Entries of keys that end in the letters, each used before the next."""
    for letter in letters:
        shelf.add(f"k{letter}", "n", bytes(size))
        age(shelf, letter, 1000 - "abcdefghij".index(letter))


def age(shelf: Shelf, letter: str, seconds: float) -> None:
    (entry,) = shelf.find(f"k{letter}")
    then = time.time() - seconds
    os.utime(entry, (then, then))


def test_what_is_added_is_found_under_its_key_alone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", 1000)
    assert shelf.find("key1") == []
    shelf.add("key1", "b", b"one")
    shelf.add("key1", "a", b"two")
    shelf.add("key12", "a", b"three")
    assert [entry.read_bytes() for entry in shelf.find("key1")] == [b"two", b"one"]


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 400)
    add(shelf, "abcd", 100)
    assert keys_on(shelf) == "abcd"
    shelf.touch(shelf.find("ka")[0])
    add(shelf, "e", 100)
    assert keys_on(shelf) == "acde"
    add(shelf, "f", 150)
    assert keys_on(shelf) == "aef"
    assert shelf.contents().bytes == 350


def test_the_cap_holds_after_every_entry(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 10_000)
    for number in range(150):
        shelf.add(f"{number:02x}{number}", "n", bytes(37 + number))
        assert shelf.contents().bytes <= 10_000
    assert shelf.contents().bytes > 9_000


def test_an_entry_above_the_cap_evicts_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 400)
    add(shelf, "ab", 100)
    shelf.add("kc", "n", bytes(401))
    assert keys_on(shelf) == "ab"


def test_with_a_cap_of_0_nothing_is_written(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf", 0)
    shelf.add("ka", "n", b"content")
    shelf.count(False)
    assert not shelf.folder.exists()


def die_before_the_rename(folder: Path) -> None:
    Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign,assignment,return-value]
    Shelf(folder, 10**6).add("ka", "n", bytes(1000))


def test_a_killed_writer_leaves_no_entry_and_its_remains_are_cleaned_up(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("fork").Process(
        target=die_before_the_rename, args=(tmp_path,)
    )
    writer.start()
    writer.join(30)
    assert writer.exitcode == -signal.SIGKILL
    shelf = Shelf(tmp_path, 10**6)
    assert shelf.find("ka") == []
    assert shelf.contents().entries == 0
    (part,) = tmp_path.glob("*/.*.part")
    Shelf(tmp_path, 10**6).add("kb", "n", b"content")
    assert part.exists(), "a part that may still be written was removed"
    then = time.time() - 7200
    os.utime(part, (then, then))
    Shelf(tmp_path, 10**6).add("kc", "n", b"content")
    assert not part.exists()
    assert keys_on(shelf) == "bc"


def write_often(folder: Path, content: bytes, times: int) -> None:
    shelf = Shelf(folder, 10**7)
    for number in range(times):
        shelf.add(f"k{number % 3}", "n", content)
        shelf.count(True)


def test_two_writers_at_once_leave_whole_entries(tmp_path: Path) -> None:
    contents = [bytes([number]) * 200_000 for number in (1, 2)]
    processes = [
        multiprocessing.get_context("fork").Process(target=write_often, args=(tmp_path, c, 60))
        for c in contents
    ]
    for process in processes:
        process.start()
    shelf, seen = Shelf(tmp_path, 10**7), set()
    while any(process.is_alive() for process in processes):
        seen |= {entry.read_bytes() for key in ("k0", "k1", "k2") for entry in shelf.find(key)}
    assert [process.exitcode for process in processes] == [0, 0]
    assert seen <= set(contents)
    assert shelf.contents().entries == 3
    assert shelf.contents().hits == 120
    assert not list(tmp_path.glob("*/.*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount` to make a small disk with")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted (not root?): {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_one_clear_error_and_leaves_nothing_half_written(small_disk: Path) -> None:
    shelf = Shelf(small_disk / "store", 10**9)
    shelf.add("ka", "n", bytes(600_000))
    with pytest.raises(UserError) as caught:
        shelf.add("kb", "n", bytes(600_000))
    assert caught.value.source == str(shelf.folder)
    assert "600,000 bytes" in caught.value.problem
    assert "no space left" in caught.value.problem
    assert "cap_gb: 0" in caught.value.remedy
    assert keys_on(shelf) == "a"
    assert not list(small_disk.rglob("*.part"))
    shelf.drop(shelf.find("ka")[0])
    shelf.add("kb", "n", bytes(600_000))
    assert keys_on(shelf) == "b"


def test_a_job_that_does_not_fit_is_refused_before_it_starts(small_disk: Path) -> None:
    shelf = Shelf(small_disk / "store", 10**9)
    check_room(shelf, 900_000)
    with pytest.raises(UserError, match=r"2,000,000 bytes are needed .* are free"):
        check_room(shelf, 2_000_000)
    check_room(Shelf(shelf.folder, 800_000), 2_000_000)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file.*not a directory"):
        Shelf(tmp_path / "file", 1000).add("ka", "n", b"content")


def test_who_may_not_write_is_told_how_it_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("timelapse.activations.cache_directory.rename", refuse)
    with pytest.raises(UserError, match=r"permission denied.*docs/store\.md"):
        Shelf(tmp_path, 1000).add("ka", "n", b"content")
    assert not list(tmp_path.rglob("*.part"))


def test_an_entry_that_cannot_be_removed_still_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path, 400)
    add(shelf, "abcd", 100)
    kept = shelf.find("ka")[0]
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == kept:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    add(shelf, "e", 100)
    assert keys_on(shelf) == "acde"


def test_the_report_tells_what_is_there_and_how_to_clear_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "the store", 4000)
    add(shelf, "abc", 1000)
    for found in (True, False, True, True):
        shelf.count(found)
    lines = dict(line.split(None, 1) for line in report(shelf).splitlines())
    assert lines["entries"] == "3"
    assert lines["bytes"].startswith("3,000 ")
    assert lines["cap"].startswith("4,000 ")
    assert lines["hits"] == "3 (75%)"
    assert lines["misses"] == "1"
    subprocess.run(report(shelf).splitlines()[-1].removeprefix("to clear").strip(), shell=True)
    assert not shelf.folder.exists()
    assert "entries       0\n" in report(shelf)
