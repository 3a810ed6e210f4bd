"""The rules of runs and tasks are told apart whatever the names, and options can name them."""

import json

import pytest
import yaml
from projects import CONFIG, Project

NAMES = (("tiny", "two_ioi"), ("tiny_two", "ioi"), ("tiny_two", "ioi_checkpoint"))
"""Runs and tasks that underscores would not keep apart."""


@pytest.fixture(params=["run", "checkpoint"])
def alike(fresh, request: pytest.FixtureRequest) -> tuple[Project, str]:
    """A study of runs and tasks of such names, and what the rules of their probes end with."""
    config = yaml.safe_load(CONFIG)
    runs: dict[str, dict[str, object]] = {}
    for run, task in NAMES:
        settings = runs.setdefault(run, config["runs"]["tiny"] | {"task": task, "evaluate": []})
        settings["evaluate"] = [*settings["evaluate"], task]
    project = fresh(json.dumps(config | {"runs": runs, "granularity": request.param}))
    for _, task in NAMES:
        (project.folder / f"tasks/{task}.yaml").write_text(
            (project.folder / "tasks/ioi3.yaml").read_text()
        )
    return project, "-checkpoint" if request.param == "checkpoint" else ""


def test_runs_and_tasks_of_names_that_are_much_alike_have_rules_of_their_own(alike) -> None:
    project, end = alike
    rules = project.snakemake("--list-rules").stdout.split()
    assert len(rules) == len(set(rules))
    for run, task in NAMES:
        names = {f"win_rate_{run}-{task}{end}", f"transfer_{run}-{task}{end}"}
        names |= {f"{script}_{run}-{task}" for script in ("compare", "draw_film", "draw_frame")}
        assert names | {f"control_edges_{run}-ambiguous3"} <= set(rules)
    assert project.planned("results/runs/tiny/two_ioi/figures/head.gif")


def test_options_name_the_rules_of_a_run(alike) -> None:
    project, end = alike
    rule = f"win_rate_tiny-two_ioi{end}"
    done = project.snakemake(
        *("-n", "results/runs/tiny/two_ioi/win_rate/step-000002.parquet"),
        *("--set-resources", f"{rule}:mem_mb=12345", "--set-threads", f"{rule}=2"),
        *("--groups", f"{rule}=measure", "--group-components", "measure=3"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mem_mb=12345" in done.stdout
