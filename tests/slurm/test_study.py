"""A tiny study through profiles/slurm on a real Slurm, judged by Slurm's own records."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cluster import Cluster, wait_until
from gpu_rules import GPU_RULES, TRAINING
from projects import CONFIG, Project, new_project
from records import Job, jobs

pytestmark = pytest.mark.slurm

RUN = "results/runs/tiny"
PART = "000000-000004"
STEPS = ("000000", "000002", "000004")
CPU_RULES = {
    *("expand_task", "compare", "export_circuits", "summarise"),
    *("draw_run_overview", "draw_film"),
}
# Every rule, and as few jobs as that takes.
TARGETS = (
    *(f"{RUN}/ioi3/{probe}/{PART}.parquet" for probe in ("patching", "attention")),
    *(f"{RUN}/ioi3/{probe}/{PART}.parquet" for probe in ("head_roles", "logit_lens")),
    f"{RUN}/ioi3/faithfulness/{PART}.parquet",
    f"{RUN}/ioi3/circuits",
    f"{RUN}/ioi3/figures/head.gif",
    f"{RUN}/figures/win_rate.png",
    f"{RUN}/summary.md",
)
# Of the shipped profile only what is about a big cluster and long jobs.
SMALL = ("--jobs", "4", "--slurm-init-seconds-before-status-checks", "1")
CANCELLED = "finetune"
FAILING = "compare"
FAIL_ONCE = """\
import pathlib

if not pathlib.Path("failed").exists():
    pathlib.Path("failed").touch()
    raise SystemExit("made to fail, once")
"""


@dataclass(frozen=True)
class Studied:
    """The study as it came out of the cluster, and the jobs that Slurm ran for it."""

    project: Project
    jobs: list[Job]

    def of(self, rule: str) -> list[Job]:
        return [job for job in self.jobs if job.rule == rule]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = _project(tmp_path_factory.mktemp("local") / "study")
    done = project.snakemake("--cores", "2", *TARGETS)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture(scope="module")
def studied(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Studied:
    """The study, with one job cancelled while it ran and another made to fail once."""
    project = _project(tmp_path_factory.mktemp("cluster") / "study")
    script = project.folder / "workflow/scripts/compare.py"
    script.write_text(FAIL_ONCE + script.read_text())
    with _submitted(project, *TARGETS) as snakemake:
        wait_until(
            lambda: _begun(project, CANCELLED) or snakemake.poll() is not None, CANCELLED, 400
        )
        for number in _begun(project, CANCELLED):
            cluster.ask("scancel", number)
        snakemake.wait(900)
    assert snakemake.returncode == 0, project.printed
    return Studied(project, _jobs(cluster))


def test_slurm_refuses_a_gpu_where_there_is_none(cluster: Cluster) -> None:
    with pytest.raises(RuntimeError, match="node configuration is not available"):
        cluster.ask("sbatch", "--partition=cpu", "--gpus=1", "--wrap=true")


def test_every_gpu_rule_ran_on_the_gpu_partition_with_a_gpu_and_no_other_rule_did(
    studied: Studied,
) -> None:
    assert {job.rule for job in studied.jobs} == GPU_RULES | CPU_RULES
    _assert_where(studied.jobs)


def test_jobs_have_the_cpus_that_their_rules_ask_for(studied: Studied) -> None:
    for job in studied.jobs:
        assert job.cpus == (2 if job.rule in TRAINING else 1), job


def test_a_job_that_is_cancelled_while_it_runs_is_submitted_again(studied: Studied) -> None:
    first, second = studied.of(CANCELLED)
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert first.number < second.number
    assert first.minutes < second.minutes


def test_a_job_that_fails_once_is_submitted_again(studied: Studied) -> None:
    first, second = studied.of(FAILING)
    assert (first.state, second.state) == ("FAILED", "COMPLETED")
    assert first.number < second.number


def test_nothing_else_ran_twice(studied: Studied) -> None:
    rules = [job.rule for job in studied.jobs if job.state != "COMPLETED"]
    assert sorted(rules) == sorted([CANCELLED, FAILING])


def test_the_log_of_a_failed_job_is_kept_and_of_others_not(studied: Studied) -> None:
    logs = {path.stem: path for path in (studied.project.folder / "logs/slurm").rglob("*.log")}
    failed = studied.of(FAILING)[0]
    assert set(logs) == {str(failed.number), str(studied.of(CANCELLED)[0].number)}
    assert "made to fail, once" in logs[str(failed.number)].read_text()


def test_the_study_is_the_one_that_a_local_run_makes(studied: Studied, local: Project) -> None:
    files = _results(local)
    assert files == _results(studied.project)
    assert {Path(target) for target in TARGETS if Path(target).suffix} <= files
    for file in files:
        here, there = local.folder / file, studied.project.folder / file
        if file.name == "training.parquet":
            assert _without_seconds(here).equals(_without_seconds(there))
        else:
            assert here.read_bytes() == there.read_bytes(), file


def test_checkpoints_are_measured_one_by_one_as_tasks_of_a_job_array(
    cluster: Cluster, studied: Studied, local: Project, tmp_path: Path
) -> None:
    project = studied.project.copied_to(tmp_path / "study")
    project.remove(f"{RUN}/ioi3/win_rate/{PART}.parquet")
    tables = [f"{RUN}/ioi3/win_rate/{step}.parquet" for step in STEPS]
    before = {job.number for job in studied.jobs}
    arguments = ("--config", "granularity=checkpoint", "--slurm-array-jobs", "all")
    with _submitted(project, *arguments, *tables) as snakemake:
        snakemake.wait(300)
    assert snakemake.returncode == 0, project.printed
    added = [job for job in _jobs(cluster) if job.number not in before]
    assert [(job.rule, job.state) for job in added] == [("win_rate", "COMPLETED")] * 3
    assert len({job.array for job in added}) == 1
    _assert_where(added)
    folders = [study.folder / f"{RUN}/ioi3/win_rate" for study in (project, local)]
    one_by_one, together = (pq.read_table(folder).sort_by("step") for folder in folders)
    assert one_by_one.equals(together)


def _assert_where(ran: list[Job]) -> None:
    """Jobs of rules that say `gpu=1` had a GPU on the gpu partition, all others were elsewhere."""
    for job in ran:
        if job.rule in GPU_RULES:
            assert (job.partition, job.node) == ("gpu", "gpu1"), job
            assert job.gpus in ("gpu:1(IDX:0)", "gpu:1(IDX:1)"), job
        else:
            assert (job.partition, job.node, job.gpus) == ("cpu", "cpu1", ""), job


def _project(folder: Path) -> Project:
    """The tiny study on one task: one job a rule, where that can be."""
    return new_project(folder, CONFIG.replace("evaluate: [ioi2, ioi3]", "evaluate: [ioi3]"))


@contextmanager
def _submitted(project: Project, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Snakemake with the shipped profile; it ends with this block."""
    snakemake = project.start("--profile", "profiles/slurm", *SMALL, *arguments)
    try:
        yield snakemake
    finally:
        snakemake.kill()
        snakemake.wait()


def _jobs(cluster: Cluster) -> list[Job]:
    wait_until(lambda: not cluster.ask("squeue", "--noheader"), "the end of all jobs", 30)
    return jobs(cluster.folder)


def _begun(project: Project, rule: str) -> list[str]:
    """The jobs of a rule that have written something."""
    logs = (project.folder / "logs/slurm").glob(f"rule_{rule}/**/*.log")
    return [log.stem for log in logs if log.stat().st_size]


def _results(project: Project) -> set[Path]:
    return {
        path.relative_to(project.folder)
        for path in (project.folder / "results").rglob("*")
        if path.is_file() and not path.name.startswith(".snakemake")
    }


def _without_seconds(file: Path):
    return pq.read_table(file).drop(["seconds"])
