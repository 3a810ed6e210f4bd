"""The cache's files: whole or not there, under the cap, and safe with many writers."""

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
from timelapse.activations.cache_directory import CacheDirectory, check_free_space
from timelapse.errors import UserError


def keys_on(directory: CacheDirectory) -> str:
    return "".join(
        sorted(path.name.partition("-")[0][-1] for path in directory.folder.glob("*/*.safetensors"))
    )


def add(directory: CacheDirectory, letters: str, size: int) -> None:
    """Files of keys that end in the letters, each used before the next."""
    for letter in letters:
        directory.add(f"k{letter}", "n", bytes(size))
        age(directory, letter, 1000 - "abcdefghij".index(letter))


def age(directory: CacheDirectory, letter: str, seconds: float) -> None:
    (file,) = directory.find(f"k{letter}")
    then = time.time() - seconds
    os.utime(file, (then, then))


def test_what_is_added_is_found_under_its_key_alone(tmp_path: Path) -> None:
    directory = CacheDirectory(tmp_path / "directory", 1000)
    assert directory.find("key1") == []
    directory.add("key1", "b", b"one")
    directory.add("key1", "a", b"two")
    directory.add("key12", "a", b"three")
    assert [file.read_bytes() for file in directory.find("key1")] == [b"two", b"one"]


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    directory = CacheDirectory(tmp_path, 400)
    add(directory, "abcd", 100)
    assert keys_on(directory) == "abcd"
    directory.touch(directory.find("ka")[0])
    add(directory, "e", 100)
    assert keys_on(directory) == "acde"
    add(directory, "f", 150)
    assert keys_on(directory) == "aef"
    assert directory.contents().bytes == 350


def test_the_cap_holds_after_every_file(tmp_path: Path) -> None:
    directory = CacheDirectory(tmp_path, 10_000)
    for number in range(150):
        directory.add(f"{number:02x}{number}", "n", bytes(37 + number))
        assert directory.contents().bytes <= 10_000
    assert directory.contents().bytes > 9_000


def test_a_file_above_the_cap_evicts_nothing(tmp_path: Path) -> None:
    directory = CacheDirectory(tmp_path, 400)
    add(directory, "ab", 100)
    directory.add("kc", "n", bytes(401))
    assert keys_on(directory) == "ab"


def test_with_a_cap_of_0_nothing_is_written(tmp_path: Path) -> None:
    directory = CacheDirectory(tmp_path / "directory", 0)
    directory.add("ka", "n", b"content")
    directory.count(False)
    assert not directory.folder.exists()


def die_before_the_rename(folder: Path) -> None:
    Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign,assignment,return-value]
    CacheDirectory(folder, 10**6).add("ka", "n", bytes(1000))


def test_a_killed_writer_leaves_no_file_and_its_remains_are_cleaned_up(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("fork").Process(
        target=die_before_the_rename, args=(tmp_path,)
    )
    writer.start()
    writer.join(30)
    assert writer.exitcode == -signal.SIGKILL
    directory = CacheDirectory(tmp_path, 10**6)
    assert directory.find("ka") == []
    assert directory.contents().files == 0
    (part,) = tmp_path.glob("*/.*.part")
    CacheDirectory(tmp_path, 10**6).add("kb", "n", b"content")
    assert part.exists(), "a part that may still be written was removed"
    then = time.time() - 7200
    os.utime(part, (then, then))
    CacheDirectory(tmp_path, 10**6).add("kc", "n", b"content")
    assert not part.exists()
    assert keys_on(directory) == "bc"


def write_often(folder: Path, content: bytes, times: int) -> None:
    directory = CacheDirectory(folder, 10**7)
    for number in range(times):
        directory.add(f"k{number % 3}", "n", content)
        directory.count(True)


def test_two_writers_at_once_leave_whole_files(tmp_path: Path) -> None:
    contents = [bytes([number]) * 200_000 for number in (1, 2)]
    processes = [
        multiprocessing.get_context("fork").Process(target=write_often, args=(tmp_path, c, 60))
        for c in contents
    ]
    for process in processes:
        process.start()
    directory, seen = CacheDirectory(tmp_path, 10**7), set()
    while any(process.is_alive() for process in processes):
        seen |= {file.read_bytes() for key in ("k0", "k1", "k2") for file in directory.find(key)}
    assert [process.exitcode for process in processes] == [0, 0]
    assert seen <= set(contents)
    assert directory.contents().files == 3
    assert directory.contents().hits == 120
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
    directory = CacheDirectory(small_disk / "store", 10**9)
    directory.add("ka", "n", bytes(600_000))
    with pytest.raises(UserError) as caught:
        directory.add("kb", "n", bytes(600_000))
    assert caught.value.source == str(directory.folder)
    assert "600,000 bytes" in caught.value.problem
    assert "no space left" in caught.value.problem
    assert "cap_gb: 0" in caught.value.remedy
    assert keys_on(directory) == "a"
    assert not list(small_disk.rglob("*.part"))
    directory.remove(directory.find("ka")[0])
    directory.add("kb", "n", bytes(600_000))
    assert keys_on(directory) == "b"


def test_a_job_that_does_not_fit_is_refused_before_it_starts(small_disk: Path) -> None:
    directory = CacheDirectory(small_disk / "store", 10**9)
    check_free_space(directory, 900_000)
    with pytest.raises(UserError, match=r"2,000,000 bytes are needed .* are free"):
        check_free_space(directory, 2_000_000)
    check_free_space(CacheDirectory(directory.folder, 800_000), 2_000_000)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file.*not a directory"):
        CacheDirectory(tmp_path / "file", 1000).add("ka", "n", b"content")


def test_who_may_not_write_is_told_how_it_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("timelapse.activations.cache_directory.rename", refuse)
    with pytest.raises(UserError, match=r"permission denied.*docs/store\.md"):
        CacheDirectory(tmp_path, 1000).add("ka", "n", b"content")
    assert not list(tmp_path.rglob("*.part"))


def test_a_file_that_cannot_be_removed_still_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = CacheDirectory(tmp_path, 400)
    add(directory, "abcd", 100)
    kept = directory.find("ka")[0]
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == kept:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    add(directory, "e", 100)
    assert keys_on(directory) == "acde"


def test_the_report_says_what_is_there_and_how_to_clear_it(tmp_path: Path) -> None:
    directory = CacheDirectory(tmp_path / "the cache", 4000)
    add(directory, "abc", 1000)
    for found in (True, False, True, True):
        directory.count(found)
    lines = dict(line.split(None, 1) for line in report(directory).splitlines())
    assert lines["files"] == "3"
    assert lines["bytes"].startswith("3,000 ")
    assert lines["cap"].startswith("4,000 ")
    assert lines["hits"] == "3 (75%)"
    assert lines["misses"] == "1"
    subprocess.run(report(directory).splitlines()[-1].removeprefix("to clear").strip(), shell=True)
    assert not directory.folder.exists()
    assert "files         0\n" in report(directory)
