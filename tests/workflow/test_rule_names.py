"""Rules are static: their names are those of probes, and Snakemake's options can name them."""

import json
import re

import pytest
import yaml
from projects import CONFIG, RUN, Project

from timelapse.probes.registry import PROBES

NAMES = (("tiny", "two_ioi"), ("tiny_two", "ioi"), ("tiny_two", "ioi_checkpoint"))
"""Runs and tasks that underscores would not keep apart."""


def test_the_rules_are_these_whatever_the_study(fresh) -> None:
    project = fresh()
    rules = project.snakemake("--list-rules").stdout.split()
    assert len(rules) == len(set(rules))
    assert set(PROBES) <= set(rules)
    longer = CONFIG + "granularity: checkpoint\n"
    (project.folder / "config.yaml").write_text(longer.replace("seed: 0", "seed: 1"))
    assert project.snakemake("--list-rules").stdout.split() == rules


def test_no_rule_is_made_in_a_loop(fresh) -> None:
    project = fresh()
    for file in project.folder.glob("rules/*.smk"):
        for line in file.read_text().splitlines():
            assert not re.match(r"(for|while) ", line), f"{file.name}: {line}"
            assert not re.match(r"\s+(use )?rule\b", line), f"{file.name}: {line}"


@pytest.mark.parametrize("granularity", ["run", "checkpoint"])
def test_runs_and_tasks_of_names_that_are_much_alike_are_kept_apart(
    fresh, granularity: str
) -> None:
    config = yaml.safe_load(CONFIG)
    runs: dict[str, dict[str, object]] = {}
    for run, task in NAMES:
        settings = runs.setdefault(run, config["runs"]["tiny"] | {"task": task, "evaluate": []})
        settings["evaluate"] = [*settings["evaluate"], task]
    project = fresh(json.dumps(config | {"runs": runs, "granularity": granularity}))
    for _, task in NAMES:
        (project.folder / f"tasks/{task}.yaml").write_text(
            (project.folder / "tasks/ioi3.yaml").read_text()
        )
    for run, task in NAMES:
        part = "000000-000004" if granularity == "run" else "000002"
        table = f"results/runs/{run}/{task}/win_rate/{part}.parquet"
        done = project.snakemake("-n", table)
        assert f"Measuring the win rate of run {run} on {task}: {part}" in done.stdout + done.stderr


def test_resources_of_a_rule_can_be_set(fresh) -> None:
    project = fresh()
    rules = project.folder / "rules/probes.smk"
    # Of a job with a message, Snakemake shows nothing else.
    rules.write_text(re.sub(r'\n    message:\n        "Patching .*"', "", rules.read_text()))
    done = project.snakemake("-n", "--set-resources", "patching:mem_mb=9000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"resources:.*mem_mb=9000", done.stdout + done.stderr)) == 2


def test_a_run_can_end_with_a_rule(fresh) -> None:
    planned = fresh().planned("--until", "edges")
    assert planned == {"expand_task": 3, "train_embedded": 1, "finetune": 1, "edges": 3}


def test_jobs_of_a_rule_can_be_grouped(fresh) -> None:
    done = fresh("granularity: checkpoint\n" + CONFIG).snakemake(
        *("-n", "--groups", "attention=g", "--group-components", "g=3"),
        *("--until", "attention"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout + done.stderr
    assert text.count("Group job g ") == 2
    assert len(re.findall(r"^ +Job \d+: Reading the attention", text, re.M)) == 6


def test_a_table_of_a_part_is_asked_for_by_name(finished: Project) -> None:
    assert finished.planned(f"{RUN}/ioi3/edge_samples/000000-000004.parquet") == {}
