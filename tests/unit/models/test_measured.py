"""Which checkpoints a job measures."""

from pathlib import Path

import pytest

from timelapse.errors import UserError
from timelapse.models.step_folders import measured_checkpoints

RUN = "results/runs/tuned"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    folders = [Path(f"{RUN}/checkpoints/step-{step:06d}") for step in (0, 8, 16)]
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


def test_listed_checkpoints_are_measured_in_their_order(folders: list[Path]) -> None:
    listed = [str(folder) for folder in reversed(folders)]
    assert measured_checkpoints(listed, [f"{RUN}/ioi3/edges/step-000008.parquet"]) == [
        *reversed(folders)
    ]


def test_without_a_list_the_checkpoints_are_those_of_the_tables_each_once(
    folders: list[Path],
) -> None:
    tables = [
        f"{RUN}/ioi3/{probe}/{folder.name}.parquet"
        for probe in ("edges", "edge_samples")
        for folder in folders[1:]
    ]
    assert measured_checkpoints([], tables) == folders[1:]


def test_a_missing_checkpoint_is_named_with_what_to_do(folders: list[Path]) -> None:
    folders[1].rmdir()
    tables = [f"{RUN}/ioi3/edges/{folder.name}.parquet" for folder in folders]
    with pytest.raises(UserError, match=f"Delete {RUN}/training.parquet") as caught:
        measured_checkpoints([], tables)
    assert caught.value.source == str(folders[1])
