"""The profiles: what they make of a rule that says `gpu=1`, and that their keys exist."""

import os
import re
from collections import Counter
from pathlib import Path

import fake_slurm
import pytest
import yaml
from fake_slurm import FakeSlurm, Submission
from gpu_rules import GPU_RULES, TRAINING
from projects import ROOT, Project

pytestmark = pytest.mark.slow

PROFILES = {
    path.parent.name: yaml.safe_load(path.read_text())
    for path in sorted(ROOT.glob("profiles/*/config.yaml"))
}


def submit(project: Project, slurm: FakeSlurm, *arguments: str) -> None:
    """Run Snakemake with the profile for Slurm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{slurm.folder}/bin:{os.environ['PATH']}")
        done = project.snakemake(
            *("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1"),
            *arguments,
        )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def submissions(
    finished: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, list[Submission]]:
    """How every job of the tiny study is submitted to Slurm."""
    folder = tmp_path_factory.mktemp("slurm")
    project = finished.copied_to(folder / "study")
    slurm = fake_slurm.install(folder / "fake", finished.folder)
    submit(project, slurm, "--forceall")
    return project, slurm.submissions()


def test_every_job_of_the_study_is_submitted_once(submissions) -> None:
    project, calls = submissions
    assert Counter(call.rule for call in calls) == project.planned("--forceall")


def test_rules_that_say_gpu_go_to_the_gpu_partition_and_no_other_does(submissions) -> None:
    for call in submissions[1]:
        expected = ("gpu", 1) if call.rule in GPU_RULES else ("cpu", 0)
        assert (call.partition, call.gpus) == expected, call
    assert {call.rule for call in submissions[1]} >= GPU_RULES


def test_a_job_asks_for_as_many_cpus_as_its_rule_has_threads(submissions) -> None:
    for call in submissions[1]:
        assert call.cpus == (2 if call.rule in TRAINING else 1), call


def test_every_job_says_what_memory_and_time_it_needs(submissions) -> None:
    for call in submissions[1]:
        assert 100 <= call.mem_mb <= 64_000, call
        assert 1 <= call.minutes <= 24 * 60, call


def test_a_failed_job_gets_more_of_both_when_it_is_tried_again() -> None:
    defaults = PROFILES["slurm"]["default-resources"]
    for name in ("mem_mb", "runtime"):
        once, twice = (eval(defaults[name], {"attempt": attempt}) for attempt in (1, 2))
        assert 0 < once < twice


@pytest.mark.parametrize("name", PROFILES)
def test_every_key_of_a_profile_is_an_option(finished: Project, name: str) -> None:
    options = set(re.findall(r"--([a-z][a-z-]+)", finished.snakemake("--help").stdout))
    keys = {key for key in PROFILES[name] if not key.startswith("__")}
    if name == "kubernetes":  # its plugin is not locked
        keys -= {"kubernetes-namespace", "kubernetes-persistent-volumes"}
    assert keys <= options


def test_no_profile_but_lsf_names_a_rule() -> None:
    """The plugin for LSF knows nothing of GPUs: there the list has to be complete."""
    assert [name for name, profile in PROFILES.items() if "set-resources" in profile] == ["lsf"]


def test_the_profile_for_lsf_lists_the_rules_that_use_the_gpu() -> None:
    expected = {"lsf_queue": "gpu", "lsf_extra": "-gpu num=1"}
    assert PROFILES["lsf"]["set-resources"] == dict.fromkeys(GPU_RULES, expected)


@pytest.mark.parametrize("name", PROFILES)
def test_no_profile_runs_code(name: str) -> None:
    assert "__use_yte__" not in PROFILES[name]


def test_the_store_on_scratch_goes_on_top_of_another_profile(finished: Project) -> None:
    profiles = ("--profile", "profiles/slurm", "--workflow-profile", "profiles/scratch")
    done = finished.snakemake("-n", *profiles, "store_report")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(PROFILES["scratch"]) >= set(PROFILES["default"]) - {"cores"}


def test_a_store_that_the_nodes_alone_can_write_does_not_keep_jobs_from_them(
    copy: Project, finished: Project, tmp_path: Path
) -> None:
    table = "results/runs/tiny/ioi3/win_rate/000000-000004.parquet"
    copy.remove(table)
    here = copy.snakemake("--config", "store=/proc/timelapse", "--", table)
    assert here.returncode != 0 and "store: nothing can be written" in here.stdout + here.stderr
    slurm = fake_slurm.install(tmp_path / "fake", finished.folder)
    submit(copy, slurm, "--config", "store=/proc/timelapse", "--", table)
    assert [call.rule for call in slurm.submissions()] == ["win_rate"]


def test_the_documentation_explains_every_key_of_the_slurm_profile_and_no_other() -> None:
    table = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/cluster.md").read_text(), re.M)
    assert table == list(PROFILES["slurm"])
