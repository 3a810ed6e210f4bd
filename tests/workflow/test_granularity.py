"""A job for all checkpoints of a run, for some, for each: the same tables, and what is planned."""

import shutil
import subprocess
import sys
from collections.abc import Iterable

import pytest
import yaml
from projects import CONFIG, ROOT, Project

RUN = "results/runs/tiny"
PROBES = (
    *("win_rate", "logit_diff", "patching", "attention", "head_roles", "logit_lens"),
    *("edges", "faithfulness", "transfer"),
)
TABLES = (
    *PROBES,
    *("attention_change", "attention_pattern", "logit_lens_top"),
    *("edge_samples", "edges_by_position", "circuit_quality"),
)
LAST = "step-000004.parquet"


def each_checkpoint(project: Project) -> None:
    project.replace("config.yaml", "seed: 0", "seed: 0\ngranularity: checkpoint")


def in_parts(project: Project) -> None:
    """As if more than two checkpoints were too many for a job: parts of one and of two."""
    project.replace(
        "workflow/scripts/timelapse/study/jobs.py", "MOST_TOGETHER = 100", "MOST_TOGETHER = 2"
    )


def touched(project: Project) -> Project:
    """The project with its records brought up to date."""
    done = project.snakemake("--touch", "--cores", "1")
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def switched(copy: Project) -> Project:
    """The finished study with a job for each checkpoint."""
    each_checkpoint(copy)
    return touched(copy)


@pytest.fixture
def parted(copy: Project) -> Project:
    """The finished study as a long one."""
    in_parts(copy)
    return touched(copy)


def test_every_checkpoint_has_its_job(fresh) -> None:
    project = fresh("granularity: checkpoint\n" + CONFIG)
    planned = project.planned()
    assert {name: n for name, n in planned.items() if name.endswith("-checkpoint")} == {
        f"{probe}_tiny-checkpoint": 2 * 3 for probe in PROBES
    }
    assert planned["control_edges_tiny"] == 1
    assert planned["compare_tiny"] == 2


def test_the_shipped_study_has_a_job_for_every_checkpoint_if_asked(fresh) -> None:
    project = fresh("granularity: checkpoint\n" + (ROOT / "config.yaml").read_text())
    planned = project.planned()
    assert {name: n for name, n in planned.items() if name.endswith("-checkpoint")} == {
        f"{probe}_two_to_three-checkpoint": 2 * 24 for probe in PROBES
    }


def test_one_checkpoints_table_is_one_job(switched: Project) -> None:
    assert switched.planned() == {}
    table = f"{RUN}/ioi3/attention/{LAST}"
    switched.remove(table)
    assert switched.planned(table) == {"attention_tiny-checkpoint": 1}


def test_a_switch_is_a_change_of_inputs_until_the_results_are_touched(copy: Project) -> None:
    each_checkpoint(copy)
    assert copy.planned()["win_rate_tiny-checkpoint"] == 2 * 3
    assert touched(copy).planned() == {}


def test_a_checkpoint_measured_alone_has_the_same_bytes(switched: Project) -> None:
    same_bytes_again(switched, f"{RUN}/ioi3", TABLES)


def test_a_part_of_a_long_run_has_the_same_bytes(parted: Project) -> None:
    assert parted.planned() == {}
    same_bytes_again(parted, f"{RUN}/ioi3", TABLES)


def test_a_lost_table_of_a_long_run_is_measured_again_with_its_part(parted: Project) -> None:
    parted.remove(f"{RUN}/ioi3/patching/{LAST}")
    assert parted.planned()["patching_tiny-part2"] == 1


def same_bytes_again(project: Project, folder: str, names: Iterable[str]) -> None:
    """Remove the last step's tables and measure it anew."""
    tables = [f"{folder}/{name}/{LAST}" for name in names]
    before = {table: (project.folder / table).read_bytes() for table in tables}
    for table in tables:
        project.remove(table)
    done = project.snakemake("--cores", "2", *tables)
    assert done.returncode == 0, done.stderr
    for table in tables:
        assert (project.folder / table).read_bytes() == before[table], table


def test_a_long_run_is_measured_in_parts(fresh) -> None:
    project = fresh()
    in_parts(project)
    planned = project.planned()
    probes = {probe for probe in PROBES if probe != "transfer"}
    for part in (1, 2):
        assert {name: n for name, n in planned.items() if name.endswith(f"-part{part}")} == {
            f"{probe}_tiny-part{part}": 2 for probe in probes
        }
    assert (planned["transfer_tiny"], planned["compare_tiny"]) == (2, 2)


def test_a_lost_checkpoint_of_a_long_run_is_named_with_what_to_do(parted: Project) -> None:
    lost, table = f"{RUN}/checkpoints/step-000004", f"{RUN}/ioi3/win_rate/{LAST}"
    shutil.rmtree(parted.folder / lost)
    parted.remove(table)
    done = parted.snakemake("--cores", "1", table)
    assert done.returncode != 0
    message = f"error: {lost}: the checkpoint is missing. Delete {RUN}/training.parquet"
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


COUNTING = """
import atexit
from snakemake.cli import main
from snakemake.io import _IOFile

def counted(file, target, match=_IOFile.match):
    counted.times += 1
    return match(file, target)

counted.times = 0
_IOFile.match = counted
atexit.register(lambda: print("compared", counted.times))
main()
"""
"""Snakemake, which tells how often it has compared a file with a rule's product."""


def test_twice_the_checkpoints_take_about_twice_the_comparisons(fresh) -> None:
    project = fresh()
    in_parts(project)
    few = comparisons(project, 10)
    many = comparisons(project, 20)
    assert 1_000 < few < many < 2.2 * few


def comparisons(project: Project, checkpoints: int) -> int:
    """How often a dry run compares files, in a study with so many checkpoints."""
    config = yaml.safe_load(CONFIG)
    config["runs"]["tiny"] |= {"steps": checkpoints - 1, "checkpoints": {"every": 1}}
    config |= {"films": {"checkpoints": 2}}
    config["comparison"]["checkpoints"] = 2
    (project.folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, "-n", "--quiet", "all"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1])


def test_a_long_film_shows_some_checkpoints_and_any_can_be_drawn(copy: Project) -> None:
    copy.replace("config.yaml", "seed: 0", "seed: 0\nfilms: {checkpoints: 2}")
    picture = f"{RUN}/ioi3/figures/head/step-000002.png"
    copy.remove(picture)
    assert copy.planned(picture) == {"draw_frame_tiny": 1}
