"""What cannot be written is told before anything runs."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from users import act_as

from timelapse.errors import UserError
from timelapse.machine.disks import free_bytes
from timelapse.study.checks import check_writable

NOBODY = 54322


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder that others than root may not enter, and its owner neither."""
    above = Path(tempfile.mkdtemp())
    above.chmod(0o755)
    folder = above / "closed"
    folder.mkdir()
    (folder / "store").mkdir()
    folder.chmod(0)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(above)


def refused(closed: Path) -> None:
    for folder in (closed / "store", closed / "not/there"):
        with pytest.raises(UserError, match=r"closed: store: .*permission denied"):
            check_writable(folder, "store", "Name another")
        assert free_bytes(folder) == free_bytes(closed.parent)


def test_a_folder_that_may_not_be_entered_is_named_and_refused(closed: Path) -> None:
    if os.geteuid() == 0:
        act_as(NOBODY, [], refused, closed)
    else:
        refused(closed)


def test_a_file_where_a_folder_should_be_is_named_and_refused(tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    with pytest.raises(UserError, match=r"store: .*not a directory"):
        check_writable(tmp_path / "store/of/mine", "", "Name another")


def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path: Path) -> None:
    check_writable(tmp_path / "a/b", "", "Name another")
    assert list(tmp_path.iterdir()) == []
