"""A job for all checkpoints of a run, for some, for each: equal rows, and what is planned."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from projects import CONFIG, ROOT, RUN, Project

from timelapse.probes.registry import PROBES, SCHEMAS

pytestmark = pytest.mark.slow

PARTS = {
    "run": ["000000-000004"],
    2: ["000000-000002", "000004"],
    "checkpoint": ["000000", "000002", "000004"],
}
FINER = [2, "checkpoint"]


def with_granularity(project: Project, granularity: object) -> Project:
    project.replace("config.yaml", "seed: 0", f"seed: 0\ngranularity: {granularity}")
    return project


@pytest.mark.parametrize("granularity", PARTS)
def test_every_part_has_its_job(fresh, granularity: object) -> None:
    planned = fresh(f"granularity: {granularity}\n{CONFIG}").planned()
    parts = len(PARTS[granularity])
    assert {name: planned[name] for name in PROBES if name != "edges"} == {
        probe: 2 * parts for probe in PROBES if probe != "edges"
    }
    # One more for the control.
    assert planned["edges"] == 2 * parts + 1
    assert planned["compare"] == 2


def test_the_shipped_study_has_a_job_for_every_checkpoint_if_asked(fresh) -> None:
    planned = fresh("granularity: checkpoint\n" + (ROOT / "config.yaml").read_text()).planned()
    assert planned["patching"] == 2 * 24


def test_one_parts_table_is_one_job(finished: Project) -> None:
    table = f"{RUN}/ioi3/attention/000004.parquet"
    options = ("--config", "granularity=checkpoint", "--", table)
    assert finished.planned(*options) == {"attention": 1}


def test_a_part_that_the_study_lacks_is_named_with_those_that_it_has(finished: Project) -> None:
    done = finished.snakemake("-n", f"{RUN}/ioi3/attention/000004.parquet")
    assert done.returncode != 0
    assert "Ask for 000000-000004, or set granularity and checkpoints" in done.stdout + done.stderr


@pytest.mark.parametrize("granularity", FINER)
def test_the_rows_are_equal_whatever_the_parts_and_old_parts_go(
    finished: Project, copy: Project, granularity: object
) -> None:
    with_granularity(copy, granularity)
    own = copy.folder / RUN / "ioi3/win_rate/my own.parquet"
    shutil.copy(copy.folder / RUN / "ioi3/win_rate/000000-000004.parquet", own)
    done = copy.snakemake("--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    former = f"{RUN}/ioi3/edges/000000-000004.parquet"
    assert f"Removed {former}: the study now has other parts" in done.stdout + done.stderr
    assert own.exists()
    own.unlink()
    for table in SCHEMAS:
        folder = Path(RUN, "ioi3", table)
        parts = sorted((copy.folder / folder).iterdir())
        assert [part.stem for part in parts] == PARTS[granularity], table
        (whole,) = (finished.folder / folder).iterdir()
        rows = pa.concat_tables(pq.read_table(part) for part in parts)
        assert rows.equals(pq.read_table(whole)), table


def test_a_lost_checkpoint_is_named_with_what_to_do(copy: Project) -> None:
    lost, table = f"{RUN}/checkpoints/step-000004", f"{RUN}/ioi3/win_rate/000000-000004.parquet"
    shutil.rmtree(copy.folder / lost)
    copy.remove(table)
    done = copy.snakemake("--cores", "1", "--rerun-triggers", "params", "--", table)
    assert done.returncode != 0
    message = f"error: {lost}: the checkpoint is missing. Delete {RUN}/checkpoints and run again"
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_long_film_shows_some_checkpoints_and_any_can_be_drawn(copy: Project) -> None:
    copy.replace("config.yaml", "seed: 0", "seed: 0\nfilms: {checkpoints: 2}")
    picture = f"{RUN}/ioi3/figures/head/step-000002.png"
    copy.remove(picture)
    assert copy.planned(picture) == {"draw_frame": 1}
