"""Every kind of file under results/: damage is found as far as its kind can tell."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tiny_models import WORDS, gpt2_config, random_model

from timelapse import tables
from timelapse.figures.images import write_gif, write_png
from timelapse.files.parquet import write
from timelapse.models.checkpoints import save_checkpoint
from timelapse.models.embedded import word_tokenizer
from timelapse.provenance import SCRIPTS
from timelapse.verification.file_checks import SCHEMAS, fault_of
from timelapse.verification.report import Command, Damage, Verified, report, verified

FRAMES = [
    np.random.default_rng(seed).integers(0, 256, (24, 32, 3)).astype(np.uint8) for seed in range(3)
]


def win_rate(path: Path, step: int = 2) -> None:
    row = {field.name: "x" if field.type == pa.string() else 1 for field in tables.WIN_RATE}
    row["step"] = step
    path.parent.mkdir(parents=True, exist_ok=True)
    write(pa.Table.from_pylist([row], schema=tables.WIN_RATE), path)


def test_every_flipped_or_missing_byte_of_a_picture_is_found(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    write_png(FRAMES[0], path)
    content = path.read_bytes()
    assert fault_of(path) is None
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert fault_of(path), place
        path.write_bytes(content[:place])
        assert fault_of(path), place


def test_a_film_that_is_cut_off_or_lacks_a_frame_is_found(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    write_gif(FRAMES, path)
    assert fault_of(path, 3) is None
    assert fault_of(path, 4) == "the film has 3 frames, 4 are wanted"
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert fault_of(path, 3), length


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("circuit.json", '{"edges": [1, 2]}'),
        ("circuit.svg", "<svg><g/></svg>"),
        ("circuit.graphml", "<graphml><graph/></graphml>"),
    ],
)
def test_text_that_is_cut_off_is_found(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert fault_of(path) is None
    for length in range(len(content)):
        path.write_text(content[:length])
        assert fault_of(path), length


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "not a readable Parquet file"),
        (lambda path: win_rate(path, step=4), "the table is of other steps"),
        (lambda path: path.rename(path.parents[1] / "patching" / path.name), "lacks this column"),
    ],
)
def test_a_table_that_is_not_what_its_place_says_is_found(
    tmp_path: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    path = tmp_path / "results/runs/tiny/ioi3/win_rate/000002.parquet"
    (path.parents[1] / "patching").mkdir(parents=True)
    win_rate(path)
    assert verified(tmp_path / "results", {}).damages == ()
    spoil(path)
    (damage,) = verified(tmp_path / "results", {}).damages
    assert problem in damage.problem


def test_every_table_has_a_schema_by_its_name() -> None:
    assert {"win_rate", "edges_by_position", "comparison", "transfer", "training"} <= SCHEMAS.keys()


@pytest.mark.parametrize("own", [True, False], ids=["with checksums", "from elsewhere"])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_cut_file_of_a_model_is_named(tmp_path: Path, name: str, own: bool) -> None:
    folder = tmp_path / "results" / "models" / "base"
    save_checkpoint(random_model(gpt2_config()), word_tokenizer(WORDS), folder)
    if not own:
        (folder / "checksums.json").unlink()
    assert verified(tmp_path / "results", {}).damages == ()
    file = folder / name
    file.write_bytes(file.read_bytes()[:-30])
    (damage,) = verified(tmp_path / "results", {}).damages
    assert damage.path == folder
    assert damage.problem.startswith(f"{name}: ")


def test_what_snakemake_hides_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "results" / "models" / "base").mkdir(parents=True)
    (tmp_path / "results" / "models" / "base" / "config.json").write_text(json.dumps({}))
    (tmp_path / "results" / "models" / "base" / ".snakemake_timestamp").write_bytes(b"\xff")
    (tmp_path / "results" / ".hidden.png").write_bytes(b"")
    assert verified(tmp_path / "results", {}).looked_at == 1
    assert verified(tmp_path / "absent" / "results", {}).looked_at == 0


@pytest.mark.parametrize(
    "name",
    [
        "notes/mine.parquet",
        "notes/picture.png",
        "models/readme.md",
        "runs/tiny/ioi3/other/000002.parquet",
        "runs/tiny/ioi3/win_rate/mine.parquet",
        "runs/tiny/ioi3/figures/head/draft.png",
    ],
)
def test_files_of_the_user_are_named_and_neither_damage_nor_removed(
    tmp_path: Path, name: str
) -> None:
    win_rate(tmp_path / "results/runs/tiny/ioi3/win_rate/000002.parquet")
    own = tmp_path / "results" / name
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_bytes(b"")
    found = verified(tmp_path / "results", {})
    assert (found.looked_at, found.damages, found.unknown) == (1, (), (own,))
    told = report(found, Command(), ["tiny"])
    assert told == (
        f"{own}: no file of this workflow, not looked at\n"
        "1 files and model folders, all as they were written\n"
    )
    (tmp_path / "results/runs/tiny/training.parquet").write_bytes(b"")
    told = report(verified(tmp_path / "results", {}), Command(), ["tiny"])
    assert told.count(str(own)) == 1
    assert "1 of 2 files and model folders are damaged" in told


def test_files_of_runs_of_other_studies_are_told_and_not_asked_for() -> None:
    damages = [Damage(Path(f"results/runs/{run}/training.parquet"), "cut") for run in "ab"]
    told = report(Verified(9, tuple(damages)), Command(), ["a"])
    assert "    snakemake results/runs/a/training.parquet\n" in told
    assert told.endswith("b is no run of this study: give --configfile of the one that made it\n")
    alone = report(Verified(9, tuple(damages[1:])), Command(), ["a"])
    assert "rm -r" not in alone


def test_verification_needs_no_torch() -> None:
    code = "import sys, timelapse.verification.report as _; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_the_report_of_a_sound_study_is_a_count(tmp_path: Path) -> None:
    win_rate(tmp_path / "results/runs/tiny/ioi3/win_rate/000002.parquet")
    assert report(verified(tmp_path / "results", {}), Command(), []).startswith(
        "1 files and model folders, all"
    )
