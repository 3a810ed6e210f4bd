"""Files that have been damaged: found, named, and made again as they were."""

import shlex
import subprocess
from pathlib import Path

import pytest
from projects import Project

pytestmark = pytest.mark.slow

RUN = "results/runs/tiny"
FLIPPED = (
    "results/datasets/ioi3/validation.parquet",
    f"{RUN}/checkpoints/step-000002/model.safetensors",
    f"{RUN}/ioi3/edges/000000-000004.parquet",
    f"{RUN}/ioi3/figures/head/step-000002.png",
)
TRUNCATED = (
    f"{RUN}/checkpoints/step-000004/tokenizer.json",
    f"{RUN}/figures/win_rate.png",
    f"{RUN}/ioi2/win_rate/000000-000004.parquet",
    f"{RUN}/ioi3/circuits/step-000004.graphml",
    f"{RUN}/ioi3/circuits/step-000002.importances.json",
    f"{RUN}/ioi3/figures/circuit/step-000004.svg",
    f"{RUN}/ioi3/figures/circuit/step-000002.json",
    f"{RUN}/ioi3/figures/layer.gif",
)


def content_of(folder: Path) -> dict[str, bytes]:
    """All results but the training table, which tells the time that training took."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (folder / "results").rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.name != "training.parquet"
    }


def test_a_sound_study_is_counted(finished: Project) -> None:
    done = finished.snakemake("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = done.stdout.splitlines()
    assert line.endswith("files and model folders, all as they were written")
    assert int(line.split()[0]) > 190


def test_every_damaged_file_is_named_and_the_printed_commands_mend_it(
    finished: Project, copy: Project
) -> None:
    for file in FLIPPED:
        copy.flip(file)
    for file in TRUNCATED:
        copy.truncate(file)
    own = copy.folder / "results/notes/mine.parquet"
    own.parent.mkdir()
    own.write_text("mine")
    done = copy.snakemake("verify", "--config", "seed=0")
    assert done.returncode == 1
    told = [line for line in done.stdout.splitlines() if not line.startswith("    ")]
    commands = [line.strip() for line in done.stdout.splitlines() if line.startswith("    ")]
    assert len(told) == len(FLIPPED) + len(TRUNCATED) + 3
    assert told[0] == "results/notes/mine.parquet: no file of this workflow, not looked at"
    for file in (*FLIPPED, *TRUNCATED):
        folder, _, name = file.rpartition("/")
        place = f"{folder}: {name}: " if "checkpoints" in folder else f"{file}: "
        assert [line for line in told if line.startswith(place)], file
    assert len(commands) == 2
    assert all(command.endswith(" --config seed=0") for command in commands[1:])
    for command in commands:
        mended = subprocess.run(
            shlex.split(command), cwd=copy.folder, capture_output=True, text=True
        )
        assert mended.returncode == 0, command + mended.stdout + mended.stderr
    assert own.read_text() == "mine"
    own.unlink()
    assert content_of(copy.folder) == content_of(finished.folder)


def test_a_damaged_and_a_vanished_activation_are_made_again(copy: Project) -> None:
    entries = sorted((copy.folder / ".cache/timelapse/activations").glob("*/*.safetensors"))
    before = {entry.name: entry.read_bytes() for entry in entries}
    entries[0].write_bytes(before[entries[0].name][:100])
    entries[1].unlink()
    tables = [f"{RUN}/{task}/logit_diff/000000-000004.parquet" for task in ("ioi2", "ioi3")]
    measured = {table: (copy.folder / table).read_bytes() for table in tables}
    for table in tables:
        copy.remove(table)
    done = copy.snakemake("--cores", "2", *tables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {table: (copy.folder / table).read_bytes() for table in tables} == measured
    logs = "".join(path.read_text() for path in (copy.folder / "logs/logit_diff").iterdir())
    assert f"{entries[0].name} is damaged; it is removed and made again" in logs
    assert {entry.name: entry.read_bytes() for entry in entries} == before
