"""Trainings in one store: what one process has written serves all, and nothing is left behind."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from timelapse.models.training_store import FORGOTTEN, TrainingFolder


@pytest.fixture
def folder(tmp_path: Path) -> TrainingFolder:
    return TrainingFolder(tmp_path, "run", "key")


def add(folder: TrainingFolder, target: Path, content: str = "content") -> None:
    with folder.added(target) as new:
        (new / "file").write_text(content)


def left(folder: TrainingFolder) -> list[str]:
    """All that lies in the folder of trainings."""
    found = (path.relative_to(folder.trainings) for path in folder.trainings.rglob("*"))
    return sorted(map(str, found))


def test_a_training_is_found_by_its_name_and_key(tmp_path: Path) -> None:
    paths = {
        TrainingFolder(tmp_path, name, key).path for name in ("run", "other") for key in ("a", "b")
    }
    assert len(paths) == 4
    assert TrainingFolder(tmp_path, "run", "a").path in paths


def test_what_is_written_appears_whole(folder: TrainingFolder) -> None:
    with folder.added(folder.checkpoint(8)) as new:
        (new / "file").write_text("content")
        assert not folder.checkpoint(8).exists()
    assert left(folder) == ["run-key", "run-key/step-000008", "run-key/step-000008/file"]


def test_what_fails_leaves_nothing(folder: TrainingFolder) -> None:
    with pytest.raises(ValueError, match="failed"), folder.added(folder.checkpoint(8)) as new:
        (new / "file").write_text("content")
        raise ValueError("failed")
    assert left(folder) == []


def test_of_two_that_write_the_same_the_first_stays(folder: TrainingFolder) -> None:
    with folder.added(folder.checkpoint(8)) as slower:
        (slower / "file").write_text("slower")
        add(folder, folder.checkpoint(8), "faster")
    assert (folder.checkpoint(8) / "file").read_text() == "faster"
    assert left(folder) == ["run-key", "run-key/step-000008", "run-key/step-000008/file"]


def test_a_folder_that_is_removed_meanwhile_is_made_anew(folder: TrainingFolder) -> None:
    add(folder, folder.checkpoint(0))
    with folder.added(folder.checkpoint(8)) as new:
        (new / "file").write_text("content")
        folder.finish()
    assert left(folder) == ["run-key", "run-key/step-000008", "run-key/step-000008/file"]


def test_writers_and_removers_at_once_disturb_nobody(folder: TrainingFolder) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(40):
                add(folder, folder.checkpoint(step))
                add(folder, folder.state(step))
                folder.remove_states_before(step)
                if step % 10 == number:
                    folder.finish()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder.finish()
    assert failures == []
    # What comes into a folder while it is removed stays for an hour, under a passing name.
    assert all(path.suffix == ".part" for path in folder.trainings.iterdir())


def test_a_rename_whose_answer_was_lost_has_happened(
    folder: TrainingFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is asked a second time no longer finds the source."""
    rename = Path.rename

    def ask_twice(path: Path, target: Path) -> Path:
        rename(path, target)
        return rename(path, target)

    folder.path.mkdir(parents=True)
    monkeypatch.setattr(Path, "rename", ask_twice)
    add(folder, folder.checkpoint(8))
    assert (folder.checkpoint(8) / "file").exists()


def test_another_error_of_the_disk_is_raised(
    folder: TrainingFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> None:
        if path.suffix == ".part":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder.path.mkdir(parents=True)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="No space"):
        add(folder, folder.checkpoint(8))
    assert left(folder) == ["run-key"]


def test_the_newest_state_is_found_and_earlier_ones_are_removed(folder: TrainingFolder) -> None:
    assert folder.newest_step() == -1
    for step in (9, 100, 30):
        add(folder, folder.state(step))
    assert folder.newest_step() == 100
    folder.remove_states_before(100)
    assert left(folder) == ["run-key", "run-key/state-000100", "run-key/state-000100/file"]


def test_a_finished_training_leaves_nothing_and_others_stay(folder: TrainingFolder) -> None:
    other = TrainingFolder(folder.trainings.parent, "other", "key")
    for training in (folder, other):
        add(training, training.checkpoint(0))
    folder.finish()
    assert left(folder) == ["other-key", "other-key/step-000000", "other-key/step-000000/file"]
    folder.finish()


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """NFS keeps a removed file that is open as .nfs and a number, until it is closed."""

    def unlink(path: str | Path, **options: int) -> None:
        if Path(path).name.startswith(".nfs"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        os.remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        yield


def test_a_file_that_cannot_be_removed_yet_fails_no_training(
    folder: TrainingFolder, stubborn: None
) -> None:
    add(folder, folder.checkpoint(0))
    (folder.checkpoint(0) / ".nfs01").touch()
    folder.finish()
    assert not folder.path.exists()
    (remains,) = folder.trainings.iterdir()
    assert remains.name.startswith(".run-key.") and remains.suffix == ".part"


def set_age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_killed_writers_leave_is_removed_an_hour_later(folder: TrainingFolder) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt), folder.added(folder.checkpoint(8)) as part:
            (part / "file").write_text("cut off")
            raise KeyboardInterrupt
    for age, kept in ((3500, True), (3700, False)):
        set_age(part, age)
        folder.finish()
        assert part.exists() == kept


def test_a_training_that_nobody_goes_on_with_is_removed_after_a_month(
    folder: TrainingFolder,
) -> None:
    forgotten = TrainingFolder(folder.trainings.parent, "forgotten", "key")
    add(forgotten, forgotten.checkpoint(0))
    for age, kept in ((FORGOTTEN - 60, True), (FORGOTTEN + 60, False)):
        set_age(forgotten.path, age)
        add(folder, folder.checkpoint(0))
        folder.finish()
        assert forgotten.path.exists() == kept
