"""What a user sees after a mistake: one message, at once, and no traceback."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from projects import CONFIG, Project


def config(old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.replace("config.yaml", old, new)


def spec(old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.replace("tasks/ioi3.yaml", old, new)


def written(file: str, content: bytes) -> Callable[[Project], None]:
    return lambda project: project.folder.joinpath(file).write_bytes(content) and None


TEMPLATE = b"__use_yte__: true\nseed: ?__import__('pathlib').Path('results').mkdir()\n"
MISTAKES = {
    "unknown key": (config("seed: 0", "sead: 0"), "config.yaml: sead", "seed"),
    "wrong type": (config("steps: 4", "steps: four"), "config.yaml: runs.tiny.steps", "number"),
    "duplicate key": (config("seed: 0", "seed: 0\nseed: 1"), "config.yaml", "seed"),
    "unknown model": (config("model: base", "model: bass"), "runs.tiny.model", "base"),
    "unknown task": (
        config("evaluate: [ioi2, ioi3]", "evaluate: [ioi2, ioi3, ioi4]"),
        "runs.tiny.evaluate",
        "ioi4",
    ),
    "a control that is evaluated": (
        config("controls: [ambiguous3]", "controls: [ioi2]"),
        "runs.tiny.controls",
        "ioi2",
    ),
    "a path as a name": (config("tiny:", "../tiny:"), "config.yaml: runs", "../tiny"),
    "heads that do not fit": (config("heads: 2", "heads: 3"), "embedded.heads", "16"),
    "a checkpoint after the end": (
        config("checkpoints: {every: 2}", "checkpoints: {steps: [9]}"),
        "runs.tiny.checkpoints.steps",
        "9",
    ),
    "unknown role in a spec": (spec("answer: io\n", "answer: oi\n"), "tasks/ioi3.yaml", "io"),
    "duplicate key in a spec": (
        spec("answer: io\n", "answer: io\nanswer: io\n"),
        "ioi3.yaml",
        "answer",
    ),
    "no corruptions": (spec("corruptions:", "corrupted:"), "tasks/ioi3.yaml", "corruptions"),
    "a word that the model does not know": (spec("Alice", "Zoe"), "tasks/ioi3.yaml", "'Zoe'"),
    "a context that is too short": (
        config("width: 16", "width: 16\n      context: 12"),
        "tasks/ambiguous3.yaml: templates",
        "context",
    ),
    "a decay longer than the training": (
        config("steps: 4", "steps: 4\n    decay: 5"),
        "runs.tiny.decay",
        "5 steps",
    ),
    "a model folder that is not there": (
        config("runs:", "  given: {folder: no/model}\nruns:"),
        "models.given.folder",
        "no/model",
    ),
    "circuits of nodes": (
        config("methods: [EAP-IG, node]", "methods: [node, EAP-IG]"),
        "config.yaml: probes.edges.methods",
        "EAP-IG",
    ),
    "circuits without those of the trained task": (
        config("evaluate: [ioi2, ioi3]", "evaluate: [ioi2]"),
        "runs.tiny.evaluate",
        "ioi3",
    ),
    "circuits larger than the model": (
        config("comparison: {edges: 20", "comparison: {edges: 2000"),
        "comparison.edges",
        "'base'",
    ),
    "a circuit of one prompt": (
        config("edges: {prompts: 4", "edges: {prompts: 1"),
        "config.yaml: probes.edges.prompts",
        "2",
    ),
    "no config": (lambda project: project.remove("config.yaml"), "config.yaml", "cannot be read"),
    "another encoding": (written("config.yaml", b"seed: \xff\n"), "config.yaml", "UTF-8"),
    "a picture for a config": (written("config.yaml", b"\x89PNG\r\n\0"), "config.yaml", "UTF-8"),
    "a list for a config": (written("config.yaml", b"- seed\n"), "config.yaml", "mapping"),
    "an open bracket": (config("seed: 0", "seed: [0"), "config.yaml: line", "brackets"),
    "an object in the config": (
        config("seed: 0", "seed: !!python/object/apply:os.mkdir [results]"),
        "config.yaml: line 1",
        "python/object",
    ),
    "a template for a config": (
        written("config.yaml", TEMPLATE),
        "config.yaml: __use_yte__",
        "code",
    ),
    "steps without end": (
        config("steps: 4", "steps: 1000000000000"),
        "config.yaml: runs.tiny.steps",
        "999999",
    ),
    "a model without end": (
        config("layers: 2", "layers: 1000000000"),
        "models.base.embedded.layers",
        "at most 100",
    ),
    "more prompts than a file should hold": (
        spec("train: 2000", "train: 1000000000"),
        "tasks/ioi3.yaml: splits.train",
        "at most",
    ),
    "a wildcard as a name": (config("tiny:", "'{task}':"), "config.yaml: runs", "letters"),
    "a home that is not filled in": (
        config("seed: 0", "store: ~/timelapse"),
        "config.yaml: store",
        "without ~",
    ),
    "a store among the results": (
        config("seed: 0", "store: results/../results/store"),
        "config.yaml: store",
        "elsewhere",
    ),
    "a tab": (spec("answer: io", "\tanswer: io"), "tasks/ioi3.yaml", "tab"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_in_one_message(fresh, name: str) -> None:
    change, place, hint = MISTAKES[name]
    project = fresh(CONFIG)
    change(project)
    done = project.snakemake("--cores", "1")
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in printed
    assert place in printed
    assert hint in printed
    assert not (project.folder / "results").exists()


CALLS = {
    "a wrong value": (["--config", "seed=abc"], "--config: seed", "whole number"),
    "an unknown key": (["--config", "sead=1"], "--config: sead", "'seed'"),
    "a list": (["--configfile", "list.yaml"], "Config file", "keys at top level"),
    "no YAML": (["--configfile", "open.yaml"], "Config file", "not valid JSON or YAML"),
    "an alias": (["--configfile", "alias.yaml"], "alias.yaml: line 1, column 11", "alias"),
    "a template": (["--configfile", "template.yaml"], "template.yaml: __use_yte__", "code"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_mistake_on_the_command_line_is_told_in_one_message(fresh, name: str) -> None:
    arguments, place, hint = CALLS[name]
    project = fresh(CONFIG)
    for file, content in {
        "list.yaml": "- seed\n",
        "open.yaml": "seed: [0\n",
        "alias.yaml": "a: &a [1, *a]\n",
        "template.yaml": "__use_yte__: true\nseed: 0\n",
    }.items():
        project.folder.joinpath(file).write_text(content)
    done = project.snakemake("-n", *arguments)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in printed
    assert place in printed
    assert hint in printed


def test_all_mistakes_of_a_file_are_told_at_once(fresh) -> None:
    project = fresh(CONFIG)
    project.replace("config.yaml", "seed: 0", "sead: 0")
    project.replace("config.yaml", "steps: 4", "steps: four")
    project.replace("config.yaml", "learning_rate: 1e-3", "learning_rate: 1e-3000")
    done = project.snakemake("-n")
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "config.yaml: " in line]
    assert [line.partition("config.yaml: ")[2].partition(":")[0] for line in lines] == [
        *("sead", "runs.tiny.steps", "runs.tiny.learning_rate"),
    ]


def test_a_study_given_with_configfile_stands_alone_and_may_lie_outside(
    fresh, tmp_path: Path
) -> None:
    project = fresh(CONFIG)
    own = yaml.safe_load(CONFIG)
    own |= {"tasks": str(tmp_path / "prompts"), "runs": {"mine": own["runs"]["tiny"]}}
    own["runs"]["mine"] |= {"task": "own", "evaluate": ["own"]}
    (tmp_path / "prompts").mkdir()
    spec = (project.folder / "tasks/ioi2.yaml").read_text()
    (tmp_path / "prompts/own.yaml").write_text(spec)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    outside = str(tmp_path / "mine.yaml")
    done = project.snakemake("-n", "--configfile", outside, "--config", "seed=3")
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert "results/runs/mine/" in printed and "results/runs/tiny/" not in printed
    assert "Expanding task own" in printed
    project.remove("config.yaml")
    assert project.snakemake("-n", "--configfile", outside).returncode == 0


TASK = "results/runs/tiny/ioi3"
PART = "000000-000004.parquet"


@pytest.mark.parametrize(
    ("damaged", "target"),
    [
        (f"{TASK}/logit_diff/{PART}", f"{TASK}/figures/layer.gif"),
        (f"{TASK}/edges/{PART}", f"{TASK}/circuits"),
        ("results/datasets/ioi3/test.parquet", f"{TASK}/win_rate/{PART}"),
        (
            "results/runs/tiny/checkpoints/step-000002/model.safetensors",
            f"{TASK}/win_rate/{PART}",
        ),
        ("results/models/base/tokenizer.json", "results/runs/tiny/training.parquet"),
    ],
)
def test_a_damaged_input_is_named_in_the_job_log(copy: Project, damaged: str, target: str) -> None:
    copy.flip(damaged)
    if (copy.folder / target).is_dir():
        shutil.rmtree(copy.folder / target)
    else:
        copy.remove(target)
    done = copy.snakemake(target)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert printed.count(f"error: {damaged}: ") == 1
    assert "Traceback" not in printed


def test_a_config_of_its_own_is_another_study(copy: Project) -> None:
    copy.folder.joinpath("other.yaml").write_text(
        "extends: config.yaml\nruns: {tiny: {evaluate: [ioi3]}}\n"
    )
    assert copy.planned("--configfile", "other.yaml") == {
        **{"transfer": 1, "compare": 1, "summarise": 1},
        **{"draw_run_overview": 1, "draw_task_overview": 7},
    }
