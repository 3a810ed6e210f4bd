"""A job for all checkpoints of a run, or one for each: the same tables, and what is planned."""

import pytest
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


@pytest.fixture
def switched(copy: Project) -> Project:
    """The finished study with a job for each checkpoint, its records brought up to date."""
    each_checkpoint(copy)
    done = copy.snakemake("--touch", "--cores", "1")
    assert done.returncode == 0, done.stderr
    return copy


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
    assert copy.snakemake("--touch", "--cores", "1").returncode == 0
    assert copy.planned() == {}


def test_a_checkpoint_measured_alone_has_the_same_bytes(switched: Project) -> None:
    tables = [f"{RUN}/ioi3/{name}/{LAST}" for name in TABLES]
    before = {table: (switched.folder / table).read_bytes() for table in tables}
    for table in tables:
        switched.remove(table)
    done = switched.snakemake("--cores", "2", *tables)
    assert done.returncode == 0, done.stderr
    for table in tables:
        assert (switched.folder / table).read_bytes() == before[table], table


def test_a_long_film_shows_some_checkpoints_and_any_can_be_drawn(copy: Project) -> None:
    copy.replace("config.yaml", "seed: 0", "seed: 0\nfilms: {checkpoints: 2}")
    picture = f"{RUN}/ioi3/figures/head/step-000002.png"
    copy.remove(picture)
    assert copy.planned(picture) == {"draw_frame_tiny": 1}
