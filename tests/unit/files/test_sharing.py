"""Shared folders: open to whoever the folder is open to, whatever the umask of the maker."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from users import act_as

from timelapse.activations.cache_directory import CacheDirectory
from timelapse.files.shared_folders import ABANDONED, make_folder, now, rename, settle
from timelapse.models.training_store import TrainingFolder


@pytest.fixture(params=[0o077, 0o022, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture(params=[0o2775, 0o2770, 0o755, 0o700], ids=oct)
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with permissions that somebody has chosen."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(request.param)
    return tmp_path / "store"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def add_state(store: Path, step: int) -> TrainingFolder:
    """A training in a store with a state of a step."""
    folder = TrainingFolder(store, "run", "key")
    with folder.added(folder.state(step)) as new:
        (new / "rows.json").write_text("[]")
        settle(new)
    return folder


def below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_the_store_is_as_open_as_its_folder(store: Path, umask: int) -> None:
    directory = CacheDirectory(store / "activations", 1000)
    directory.add("abkey", "n", b"content")
    directory.count(True)
    add_state(store, 3)
    made = {path: (path.is_dir(), mode(path)) for path in below(store)}
    assert len(made) == 9
    for path, (is_folder, found) in made.items():
        assert found == mode(store) & (0o2777 if is_folder else 0o666), path


def test_a_store_that_is_not_there_is_made_as_the_umask_says(tmp_path: Path, umask: int) -> None:
    directory = CacheDirectory(tmp_path / "cache" / "store" / "activations", 1000)
    directory.add("abkey", "n", b"content")
    assert mode(tmp_path / "cache" / "store") == 0o777 & ~umask
    for path in below(directory.folder):
        assert mode(path) == (0o777 if path.is_dir() else 0o666) & ~umask, path


def test_what_is_made_right_in_a_folder_for_everybody_is_private(
    tmp_path: Path, umask: int
) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch").chmod(0o1777)
    make_folder(tmp_path / "scratch" / "store")
    assert mode(tmp_path / "scratch" / "store") == 0o777 & ~umask


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o711)
    (tmp_path / "there" / "file").touch()
    make_folder(tmp_path / "there")
    assert mode(tmp_path / "there") == 0o711
    assert below(tmp_path) == [tmp_path / "there", tmp_path / "there" / "file"]


def test_a_rename_whose_answer_was_lost_has_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "part").write_text("content")
    (tmp_path / "part").rename(tmp_path / "entry")
    rename(tmp_path / "part", tmp_path / "entry")
    with pytest.raises(FileNotFoundError):
        rename(tmp_path / "part", tmp_path / "other")


def test_the_clock_is_that_of_the_files_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert abs(now(tmp_path) - (tmp_path / "file").stat().st_mtime) < 60
    assert below(tmp_path) == [tmp_path / "file"]


def use_the_directory(store: Path) -> None:
    CacheDirectory(store / "activations", 1000).add("abkey", "n", b"content")


def train(store: Path) -> None:
    add_state(store, 3).finish()


def interrupted(act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop where a file or folder under a temporary name is renamed or removed."""

    def stop(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stop)
        patch.setattr(Path, "unlink", stop)
        with pytest.raises(SystemExit):
            act()


@pytest.mark.parametrize(
    ("use", "place"),
    [
        (use_the_directory, "."),
        (use_the_directory, "activations"),
        (use_the_directory, "activations/ab"),
        (train, "."),
        (train, "training"),
    ],
)
def test_what_killed_processes_leave_is_removed_an_hour_later(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    use: Callable[[Path], None],
    place: str,
) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    interrupted(lambda: make_folder(folder / "new"), monkeypatch)
    interrupted(lambda: now(folder), monkeypatch)
    left = list(folder.glob(".*"))
    assert {path.suffix for path in left} == {".new", ".clock"}
    own = [folder / ".own.part", folder / ".own.new"]
    for path in own:
        path.touch()
    for age, kept in ((ABANDONED - 60, True), (ABANDONED + 60, False)):
        for path in (*left, *own):
            os.utime(path, (time.time() - age,) * 2)
        use(tmp_path)
        assert [path.exists() for path in left] == [kept, kept]
        assert all(path.exists() for path in own)


GROUP, ANN, BEN = 54321, 54322, 54323


@pytest.fixture
def lab() -> Iterator[Path]:
    """A folder of a group of which two users are members."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as two users")
    above = Path(tempfile.mkdtemp())
    above.chmod(0o755)
    store = above / "store"
    store.mkdir()
    os.chown(store, 0, GROUP)
    store.chmod(0o2775)
    yield store
    shutil.rmtree(above)


def use_cache(store: Path, old: bytes, new: bytes) -> None:
    """What a user does with entries of another: read, mark as used, replace, remove, count."""
    directory = CacheDirectory(store / "activations", 1000)
    for entry in directory.find("abkey"):
        assert entry.read_bytes() == old
        before = entry.stat().st_mtime_ns
        directory.touch(entry)
        assert entry.stat().st_mtime_ns > before
        assert directory.remove(entry)
    directory.add("abkey", "n", new)
    directory.add("abkey", "n", new)
    counted = directory.contents().hits
    directory.count(True)
    assert directory.contents().hits == counted + 1


def begin_training(store: Path) -> None:
    add_state(store, 3)


def end_training(store: Path) -> None:
    folder = TrainingFolder(store, "run", "key")
    assert folder.newest_step() == 3
    add_state(store, 9).remove_states_before(9)
    folder.finish()
    assert not list((store / "training").iterdir())


def test_members_of_a_group_use_each_others_entries_and_trainings(lab: Path) -> None:
    act_as(ANN, [GROUP], use_cache, lab, b"", b"of ann")
    act_as(BEN, [GROUP], use_cache, lab, b"of ann", b"of ben")
    act_as(ANN, [GROUP], use_cache, lab, b"of ben", b"of ann")
    act_as(ANN, [GROUP], begin_training, lab)
    act_as(BEN, [GROUP], end_training, lab)
    assert {path.stat().st_gid for path in below(lab)} == {GROUP}
