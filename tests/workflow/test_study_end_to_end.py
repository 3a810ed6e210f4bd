"""The tiny study: what it leaves behind, and that the same seed leaves the same."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from projects import Project

from timelapse import tables
from timelapse.activations.keys import checkpoint_digest

STEPS = ("000000", "000002", "000004")
RUN = "results/runs/tiny"
PART = "000000-000004"
PROBES = {
    "win_rate": tables.WIN_RATE,
    "logit_diff": tables.LOGIT_DIFF,
    "patching": tables.PATCHING,
    "edges": tables.EDGES,
    "edge_samples": tables.EDGE_SAMPLES,
    "edges_by_position": tables.EDGES_BY_POSITION,
    "faithfulness": tables.FAITHFULNESS,
    "circuit_quality": tables.CIRCUIT_QUALITY,
    "attention": tables.ATTENTION,
    "attention_change": tables.ATTENTION_CHANGE,
    "attention_pattern": tables.ATTENTION_PATTERN,
    "head_roles": tables.HEAD_ROLES,
    "logit_lens": tables.LOGIT_LENS,
    "logit_lens_top": tables.LOGIT_LENS_TOP,
}
FIGURES = (
    *("stream", "layer", "head", "circuit"),
    *("patch_resid", "patch_attn", "patch_mlp"),
    *("patch_z", "patch_q", "patch_k", "patch_v", "patch_pattern"),
    *("out_vs_value", "out_vs_pattern"),
    *("attention", "attention_change", "head_roles", "logit_lens", "faithfulness"),
)
OF_A_TASK = (
    *("circuit_first_last", "circuit_sizes", "edge_overlap", "cross_faithfulness"),
    *("head_trajectories", "win_rate_overlap", "layer_change", "head_transplant", "edge_flips"),
)
OF_THE_RUN = ("win_rate", "circuit_tasks", "cross_task")


def expected_files() -> set[str]:
    files = {f"{RUN}/training.parquet", f"{RUN}/summary.parquet", f"{RUN}/summary.md"}
    files |= {f"{RUN}/figures/{overview}.png" for overview in OF_THE_RUN}
    files |= {
        f"{RUN}/ambiguous3/{table}/{STEPS[0]}.parquet"
        for table in ("edges", "edge_samples", "edges_by_position")
    }
    for task in ("ioi2", "ioi3"):
        files |= {f"{RUN}/{task}/{name}.parquet" for name in ("comparison", "heads")}
        files |= {f"{RUN}/{task}/figures/{overview}.png" for overview in OF_A_TASK}
        files |= {f"{RUN}/{task}/{table}/{PART}.parquet" for table in (*PROBES, "transfer")}
        for step in STEPS:
            files |= {f"{RUN}/{task}/figures/{figure}/step-{step}.png" for figure in FIGURES}
            files |= {
                f"{RUN}/{task}/figures/circuit/step-{step}.{kind}" for kind in ("svg", "json")
            }
            files |= {
                f"{RUN}/{task}/circuits/step-{step}.{kind}"
                for kind in ("graphml", "importances.json")
            }
        files |= {f"{RUN}/{task}/figures/{figure}.gif" for figure in FIGURES}
    return files


def files_under(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder.parents[2]))
        for path in folder.rglob("*")
        if path.is_file()
        and "checkpoints" not in path.parts
        and path.name != ".snakemake_timestamp"
    }


def test_no_job_opens_a_connection_or_reads_a_pickle(finished: Project) -> None:
    """But the one in its own script, by which Snakemake hands a job its parameters."""
    notes = finished.folder.joinpath("watched").read_text().splitlines()
    of_jobs = [note.split("\t") for note in notes if "/.snakemake/scripts/" in note]
    assert {"'snakemake.iocontainers'" in what for _, _, what in of_jobs} == {True}
    rules = {Path(script).name.split(".")[1] for script, _, _ in of_jobs}
    assert {"expand_task", "train_embedded", "finetune", "probe", "draw_film"} <= rules


def test_every_table_and_picture_is_where_the_contract_says(finished: Project) -> None:
    assert files_under(finished.folder / RUN) == expected_files()
    for step in STEPS:
        folder = finished.folder / RUN / "checkpoints" / f"step-{step}"
        kinds = {path.suffix for path in folder.iterdir() if not path.name.startswith(".")}
        assert kinds == {".json", ".safetensors"}


@pytest.mark.parametrize("task", ["ioi2", "ioi3"])
@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_folder_is_one_dataset_over_the_steps(
    finished: Project, task: str, probe: str
) -> None:
    table = pq.read_table(finished.folder / RUN / task / probe)
    assert table.schema.equals(PROBES[probe])
    assert set(table["step"].to_pylist()) == {0, 2, 4}


@pytest.mark.parametrize(("probe", "column"), [("edges", "score"), ("patching", "value")])
def test_every_corruption_is_measured_and_not_zero(
    finished: Project, probe: str, column: str
) -> None:
    table = pq.read_table(finished.folder / RUN / "ioi3" / probe).to_pandas()
    assert set(table.corruption) == {"first", "second", "abc"}
    assert table.groupby("corruption")[column].apply(lambda part: part.abs().max()).min() > 0


def test_step_0_is_the_model_that_the_run_starts_from(finished: Project) -> None:
    base = finished.folder / "results/models/base/model.safetensors"
    kept = finished.folder / RUN / "checkpoints/step-000000/model.safetensors"
    assert base.read_bytes() == kept.read_bytes()


def test_a_film_has_a_frame_for_every_checkpoint(finished: Project) -> None:
    with Image.open(finished.folder / RUN / "ioi3/figures/head.gif") as film:
        assert film.n_frames == len(STEPS)


def test_the_graph_names_its_run_task_and_step(finished: Project) -> None:
    text = (finished.folder / RUN / "ioi3/figures/circuit/step-000002.json").read_text()
    graph = json.loads(text)["graph"]
    assert (graph["run"], graph["task"], graph["step"]) == ("tiny", "ioi3", 2)


def test_the_training_state_is_gone_when_the_training_is_done(finished: Project) -> None:
    assert not list((finished.folder / ".cache/timelapse/training").iterdir())


def test_the_store_reports_what_it_holds_and_serves_a_probe_that_runs_again(copy: Project) -> None:
    before = _reported(copy)
    held = list((copy.folder / ".cache/timelapse/activations").rglob("*.safetensors"))
    assert before["files"] == str(len(held)) == str(2 * len(STEPS))
    # Probes that run at once may miss the same file: there can be more misses than files.
    assert int(before["misses"]) >= len(held)
    assert int(before["hits"].split()[0]) > 0
    table = f"{RUN}/ioi3/logit_diff/000000-000004.parquet"
    measured = (copy.folder / table).read_bytes()
    copy.remove(table)
    assert copy.snakemake("--cores", "1", table).returncode == 0
    after = _reported(copy)
    assert (copy.folder / table).read_bytes() == measured
    assert (after["files"], after["misses"]) == (before["files"], before["misses"])
    assert int(after["hits"].split()[0]) > int(before["hits"].split()[0])


def _reported(project: Project) -> dict[str, str]:
    """The lines that `snakemake store_report` prints."""
    done = project.snakemake("store_report")
    assert done.returncode == 0, done.stderr
    lines = {line[:14].strip(): line[14:] for line in done.stdout.splitlines()}
    assert lines["to clear"] == f"rm -r {project.folder.resolve()}/.cache/timelapse/activations"
    return lines


def test_the_base_model_and_step_0_share_activations(finished: Project) -> None:
    step_0 = checkpoint_digest(finished.folder / RUN / "checkpoints/step-000000")
    assert checkpoint_digest(finished.folder / "results/models/base") == step_0
    assert checkpoint_digest(finished.folder / RUN / "checkpoints/step-000002") != step_0


@pytest.mark.slow
def test_two_fresh_runs_give_the_same_files(finished: Project, fresh) -> None:
    again = fresh()
    done = again.snakemake("--cores", "2")
    assert done.returncode == 0, done.stderr
    compared = 0
    for path in sorted((finished.folder / "results").rglob("*")):
        if not path.is_file() or path.name.startswith(".snakemake"):
            continue
        other = again.folder / path.relative_to(finished.folder)
        compared += 1
        if path.name == "training.parquet":
            seconds = ["seconds"]
            assert pq.read_table(path).drop(seconds).equals(pq.read_table(other).drop(seconds))
        else:
            assert path.read_bytes() == other.read_bytes(), path
    assert compared > 60


@pytest.mark.slow
def test_another_seed_gives_another_model(finished: Project, fresh) -> None:
    other = fresh()
    other.replace("config.yaml", "seed: 0", "seed: 1")
    done = other.snakemake("--cores", "2", "results/models/base")
    assert done.returncode == 0, done.stderr
    weights = "results/models/base/model.safetensors"
    assert (other.folder / weights).read_bytes() != (finished.folder / weights).read_bytes()
