"""Trainings in one store: nobody disturbs a living one, and a dead one is continued."""

import errno
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from timelapse.machine.shutdown import end_on_sigterm
from timelapse.models import training_store
from timelapse.models.training_store import claimed

FORK = multiprocessing.get_context("fork")


def train(store: Path, machine: str, report: Connection, together: Barrier | None) -> None:
    """Claim a folder, tell which, leave a mark in it, and hold it until told to end."""
    trainings._machine = lambda: machine  # type: ignore[assignment]
    end_on_sigterm()
    if together:
        together.wait(60)
    with claimed(store, "key") as folder:
        seen = (folder / "mark").exists()
        (folder / "mark").touch()
        report.send((folder, seen))
        report.recv()


class Trainer:
    """A process that trains on a machine of the name given.

    With a barrier it is only started, claims its folder when all others do, and is heard with
    `claim`.
    """

    def __init__(self, store: Path, machine: str = "here", together: Barrier | None = None) -> None:
        self.pipe, theirs = FORK.Pipe()
        arguments = (store, machine, theirs, together)
        self.process = FORK.Process(target=train, args=arguments, daemon=True)
        self.process.start()
        if together is None:
            self.claim()

    def claim(self) -> None:
        assert self.pipe.poll(60)
        self.folder, self.adopted = self.pipe.recv()

    def finish(self) -> None:
        self.pipe.send(None)
        self.process.join(60)
        assert self.process.exitcode == 0

    def kill(self, by: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.process.pid, by)
        self.process.join(60)


def silence(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / training_store.HEARTBEAT, (then, then))


def left(store: Path) -> list[Path]:
    return list((store / training_store.FOLDER).iterdir())


def test_two_at_once_have_folders_of_their_own_and_leave_nothing(tmp_path: Path) -> None:
    trainers = [Trainer(tmp_path), Trainer(tmp_path), Trainer(tmp_path, "elsewhere")]
    assert len({trainer.folder for trainer in trainers}) == 3
    assert not any(trainer.adopted for trainer in trainers)
    for trainer in trainers:
        trainer.finish()
    assert left(tmp_path) == []


def test_a_killed_training_is_continued_at_once_on_its_machine(tmp_path: Path) -> None:
    first = Trainer(tmp_path)
    first.kill()
    second = Trainer(tmp_path)
    assert second.adopted
    assert not first.folder.exists()
    second.finish()
    assert left(tmp_path) == []


def test_a_zombie_does_not_train(tmp_path: Path) -> None:
    first = Trainer(tmp_path)
    os.kill(first.process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, first.process.pid, os.WEXITED | os.WNOWAIT)
    second = Trainer(tmp_path)
    assert second.adopted
    second.finish()
    first.process.join()


def test_a_killed_training_of_another_machine_is_continued_when_it_is_silent(
    tmp_path: Path,
) -> None:
    first = Trainer(tmp_path, "elsewhere")
    first.kill()
    second = Trainer(tmp_path)
    assert not second.adopted
    silence(first.folder, training_store.SILENT + 60)
    third = Trainer(tmp_path)
    assert third.adopted
    second.finish()
    third.finish()
    assert left(tmp_path) == []


def test_a_training_that_is_told_to_end_is_continued_at_once_by_any_machine(
    tmp_path: Path,
) -> None:
    first = Trainer(tmp_path, "elsewhere")
    first.kill(signal.SIGTERM)
    assert first.process.exitcode == 128 + signal.SIGTERM
    second = Trainer(tmp_path)
    assert second.adopted
    second.finish()
    assert left(tmp_path) == []


def test_a_training_that_fails_is_continued_at_once_by_any_machine(tmp_path: Path) -> None:
    """Even before its process is gone."""
    with pytest.raises(ValueError), claimed(tmp_path, "key") as folder:
        (folder / "mark").touch()
        raise ValueError
    for machine in ("elsewhere", trainings._machine()):
        trainer = Trainer(tmp_path, machine)
        assert trainer.adopted
        trainer.kill(signal.SIGTERM)


def test_what_failed_is_not_forgotten_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError), claimed(tmp_path, "other"):
        raise ValueError
    with claimed(tmp_path, "key"):
        pass
    assert len(left(tmp_path)) == 1


@pytest.fixture
def from_elsewhere(tmp_path: Path) -> Path:
    """A training of another machine that was heard just now and has a state."""
    folder = tmp_path / training_store.FOLDER / "key.elsewhere.1.1.00000000"
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "trainer_state.json").write_text('{"global_step": 3}')
    (folder / "mark").touch()
    (folder / training_store.HEARTBEAT).touch()
    silence(folder, 10)
    return folder


class Waiting:
    """Stands for `time.sleep`; the second time that somebody waits, something happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self.happens, self.times = happens, 0

    def __call__(self, seconds: float) -> None:
        self.times += 1
        if self.times == 2:
            self.happens()
        assert self.times < 5


def test_a_state_of_another_machine_is_waited_for_until_that_one_is_surely_dead(
    from_elsewhere: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    waiting = Waiting(lambda: silence(from_elsewhere, training_store.SILENT + 60))
    monkeypatch.setattr(time, "sleep", waiting)
    with claimed(tmp_path, "key") as folder:
        assert (folder / "mark").exists()
    assert waiting.times == 2
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"{from_elsewhere} is of another machine: waiting until")
    assert left(tmp_path) == []


def test_a_training_beside_that_of_another_machine_begins_once_that_one_is_heard(
    from_elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Waiting(lambda: silence(from_elsewhere, 0))
    monkeypatch.setattr(time, "sleep", waiting)
    with claimed(tmp_path, "key") as folder:
        assert not (folder / "mark").exists()
    assert waiting.times == 2
    assert left(tmp_path) == [from_elsewhere]


def test_a_training_is_not_waited_for_forever(
    from_elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a file system whose clock has gone back, it was heard in the future."""
    silence(from_elsewhere, -9999)
    start = time.monotonic()
    waiting = Waiting(
        lambda: monkeypatch.setattr(time, "monotonic", lambda: start + 3 * training_store.SILENT)
    )
    monkeypatch.setattr(time, "sleep", waiting)
    with claimed(tmp_path, "key") as folder:
        assert folder != from_elsewhere
    assert waiting.times == 2


def test_a_living_training_of_the_same_machine_is_not_waited_for(
    from_elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f"key.{trainings._machine()}.{os.getpid()}.{trainings._started()}.00000000"
    living = from_elsewhere.rename(from_elsewhere.with_name(own))
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with claimed(tmp_path, "key") as folder:
        assert not (folder / "mark").exists()
    assert left(tmp_path) == [living]


def test_a_process_of_the_same_number_is_not_the_owner(tmp_path: Path) -> None:
    first = Trainer(tmp_path)
    name = first.folder.name.split(".")
    first.kill()
    name[2], name[3] = str(os.getpid()), "1"
    reused = first.folder.rename(first.folder.with_name(".".join(name)))
    second = Trainer(tmp_path)
    assert not second.adopted
    silence(reused, training_store.SILENT + 60)
    third = Trainer(tmp_path)
    assert third.adopted
    second.finish()
    third.finish()


def test_of_several_that_want_a_dead_one_one_gets_it(tmp_path: Path) -> None:
    Trainer(tmp_path).kill()
    together = FORK.Barrier(4)
    trainers = [Trainer(tmp_path, together=together) for _ in range(4)]
    for trainer in trainers:
        trainer.claim()
    assert sum(trainer.adopted for trainer in trainers) == 1
    for trainer in trainers:
        trainer.finish()
    assert left(tmp_path) == []


def test_the_furthest_is_continued_and_the_others_are_removed(tmp_path: Path) -> None:
    dead = [Trainer(tmp_path) for _ in range(3)]
    for trainer, step in zip(dead, (3, 9, 6), strict=True):
        (trainer.folder / "state").mkdir()
        (trainer.folder / "state" / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
        (trainer.folder / f"reached-{step}").touch()
        trainer.kill()
    last = Trainer(tmp_path)
    assert (last.folder / "reached-9").exists()
    last.finish()
    assert left(tmp_path) == []


def test_a_training_ends_well_while_others_remove_what_it_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = []

    def unlink(path: str | Path, **options: int) -> None:
        if not met and str(path).isdecimal():
            met.append(path)
            trainings._clean_up(tmp_path / training_store.FOLDER, "other")
        os.remove(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    with claimed(tmp_path, "key") as folder:
        for number in range(9):
            (folder / str(number)).touch()
    assert met
    assert left(tmp_path) == []


def test_a_file_that_cannot_be_removed_yet_fails_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS keeps a removed file that is open as .nfs and a number, until it is closed."""

    def unlink(path: str | Path, **options: int) -> None:
        if Path(path).name.startswith(".nfs"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        os.remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        with claimed(tmp_path, "key") as folder:
            (folder / ".nfs01").touch()
        with claimed(tmp_path, "key") as other:
            assert not (other / ".nfs01").exists()
        assert [path.suffix for path in left(tmp_path)] == [".gone"]
    with claimed(tmp_path, "other"):
        pass
    assert left(tmp_path) == []


def test_what_failed_is_kept_for_the_next(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="failed"), claimed(tmp_path, "key"):
        raise ValueError("failed")
    assert len(left(tmp_path)) == 1


def test_other_trainings_are_removed_when_they_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / training_store.FOLDER / "other.elsewhere.1.1.00000000"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / training_store.HEARTBEAT).touch()
    (folder.parent / "third.elsewhere.1.1.00000000.gone").mkdir()
    for seconds, kept in (
        (training_store.FORGOTTEN - 60, True),
        (training_store.FORGOTTEN + 60, False),
    ):
        silence(folder, seconds)
        Trainer(tmp_path).finish()
        assert left(tmp_path) == ([folder] if kept else [])


def test_a_living_training_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_store, "BEAT", 0.01)
    with claimed(tmp_path, "key") as folder:
        silence(folder, 9999)
        deadline = time.monotonic() + 60
        while trainings._silence(folder) > 60 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert trainings._silence(folder) <= 60
