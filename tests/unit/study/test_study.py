"""The config as a study: schedules, defaults, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from timelapse.errors import UserError
from timelapse.steps import kept_steps
from timelapse.study.checks import circuit_size_errors
from timelapse.study.config_files import ConfigFiles, Layer
from timelapse.study.study import Study, read_study

ROOT = Path(__file__).parents[3]
SMALL: dict[str, Any] = {
    "models": {"base": {"embedded": {"mixture": {"ioi2": 1}}}},
    "runs": {"tuned": {"model": "base", "task": "ioi3", "steps": 20}},
}


def study_of(config: dict[str, Any]) -> Study:
    return read_study(ConfigFiles.of([Layer("config", config)]))


@pytest.mark.parametrize(
    ("schedule", "last", "kept"),
    [
        ({"every": 8}, 184, tuple(range(0, 185, 8))),
        ({"every": 8}, 20, (0, 8, 16, 20)),
        ({"every": 100}, 20, (0, 20)),
        ({"steps": [3, 1]}, 20, (0, 1, 3, 20)),
        ({"log_spaced": 4}, 64, (0, 1, 4, 16, 64)),
    ],
)
def test_a_schedule_keeps_its_steps_the_first_and_the_last(
    schedule: dict[str, Any], last: int, kept: tuple[int, ...]
) -> None:
    assert kept_steps(schedule, last) == kept


def shipped(name: str) -> Study:
    """A study that comes with the workflow."""
    return read_study(ConfigFiles.read([ROOT / name]))


def test_the_shipped_studies_are_valid() -> None:
    assert len(shipped("config.yaml").runs["two_to_three"].steps) == 24
    for path in sorted((ROOT / "studies").glob("*.yaml")):
        assert shipped(f"studies/{path.name}").runs


def test_a_repeat_differs_from_its_run_in_the_seed_alone() -> None:
    study = shipped("studies/three_seeds.yaml")
    run = study.runs["two_to_three"]
    assert run.repeats == ("two_to_three_seed1", "two_to_three_seed2")
    for seed, name in zip((1, 2), run.repeats, strict=True):
        model, repeat = study.models[f"base_seed{seed}"], study.runs[name]
        assert model.settings == study.models["base"].settings
        assert (model.seed, repeat.seed, repeat.model) == (seed, seed, model.name)
        assert repeat.training == run.training | {"seed": seed}
        assert (repeat.evaluate, repeat.repeats) == (run.evaluate, ())


def test_a_repeat_starts_from_the_same_model_if_that_was_not_trained_here() -> None:
    config = yaml.safe_load(yaml.safe_dump(SMALL))
    config["models"]["base"] = {"hub": "gpt2"}
    config["runs"]["tuned"]["seeds"] = [4]
    study = study_of(config)
    assert study.runs["tuned_seed4"].model == "base"
    assert set(study.models) == {"base"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seeds": [0]}, "0 is the run's own seed"),
        ({"seeds": [3], "seed": 3}, "3 is the run's own seed"),
        ({"seeds": [1]}, "makes a run 'tuned_seed1', which is there already"),
        ({"seeds": [2]}, "makes a model 'base_seed2', which is there already"),
    ],
)
def test_a_repeat_that_is_none_or_has_the_name_of_another_is_refused(
    changes: dict[str, Any], problem: str
) -> None:
    config = yaml.safe_load(yaml.safe_dump(SMALL))
    config["runs"]["tuned_seed1"] = dict(config["runs"]["tuned"])
    config["models"]["base_seed2"] = {"embedded": {"mixture": {"ioi2": 2}}}
    config["runs"]["tuned"] |= changes
    with pytest.raises(UserError, match=problem) as caught:
        study_of(config)
    assert caught.value.key == "runs.tuned.seeds"


def test_what_is_left_out_has_a_default() -> None:
    study = study_of(SMALL)
    assert study.seed == 0
    assert study.runs["tuned"].evaluate == ("ioi3",)
    assert study.runs["tuned"].controls == ()
    assert study.runs["tuned"].recipe["batch"] == 16
    assert study.models["base"].embedded.layers == 4
    assert study.probes["win_rate"].prompts >= 200


def test_a_seed_of_its_own_goes_before_the_studys() -> None:
    config = yaml.safe_load(yaml.safe_dump(SMALL)) | {"seed": 7}
    config["runs"]["tuned"]["seed"] = 3
    study = study_of(config)
    assert (study.runs["tuned"].seed, study.models["base"].seed) == (3, 7)


def test_controls_are_tasks_of_the_study_and_of_the_repeats() -> None:
    config = yaml.safe_load(yaml.safe_dump(SMALL))
    config["runs"]["tuned"] |= {"controls": ["months"], "seeds": [1]}
    study = study_of(config)
    assert "months" in study.tasks
    assert study.runs["tuned_seed1"].controls == ("months",)


def test_training_does_not_depend_on_what_is_evaluated() -> None:
    config = yaml.safe_load(yaml.safe_dump(SMALL))
    config["runs"]["tuned"]["evaluate"] = ["ioi2", "ioi3"]
    assert study_of(config).runs["tuned"].training == study_of(SMALL).runs["tuned"].training


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("runs/tuned/model", "bass", "runs.tuned.model"),
        ("runs/tuned/task", "ioi9", "runs.tuned.task"),
        ("runs/tuned/evaluate", ["ioi9"], "runs.tuned.evaluate"),
        ("runs/tuned/controls", ["ioi9"], "runs.tuned.controls"),
        ("runs/tuned/controls", ["ioi3"], "runs.tuned.controls"),
        ("runs/tuned/controls", ["months", "months"], "runs.tuned.controls"),
        ("runs/tuned/checkpoints", {"steps": [21]}, "runs.tuned.checkpoints.steps"),
        ("runs/tuned/checkpoints", {"every": 2, "steps": [1]}, "runs.tuned.checkpoints"),
        ("runs/tuned/steps", 0, "runs.tuned.steps"),
        ("runs/tuned/learning_rate", "fast", "runs.tuned.learning_rate"),
        ("runs/../x", {"model": "base", "task": "ioi3", "steps": 2}, "runs"),
        ("models/base/embedded/heads", 5, "models.base.embedded.heads"),
        ("models/base/embedded/mixture", {"ioi9": 1}, "models.base.embedded.mixture.ioi9"),
        ("models/base/hub", "gpt2", "models.base"),
        ("models/other", {"hub": "../../etc"}, "models.other.hub"),
        ("figures", {"circuit": {"edges": 0}}, "figures.circuit.edges"),
        ("figures", {"circuit": {"method": "EAP"}}, "figures.circuit.method"),
        ("runs/tuned/evaluate", ["ioi2"], "runs.tuned.evaluate"),
        ("probes", {"edges": {"methods": ["node", "EAP"]}}, "probes.edges.methods"),
        ("probes", {"edges": {"prompts": 1}}, "probes.edges.prompts"),
        ("probes", {"faithfulness": {"prompts": 1}}, "probes.faithfulness.prompts"),
        ("probes", {"faithfulness": {"ablation": "none"}}, "probes.faithfulness.ablation"),
        ("comparison", {"prompts": 1}, "comparison.prompts"),
        ("comparison", {"ablation": "mean"}, "comparison.ablation"),
        ("prbes", {}, "prbes"),
    ],
)
def test_a_mistake_names_its_key(path: str, value: object, key: str) -> None:
    config = yaml.safe_load(yaml.safe_dump(SMALL))
    *folders, last = path.split("/", path.count("/") if ".." not in path else 1)
    entry = config
    for folder in folders:
        entry = entry[folder]
    entry[last] = value
    with pytest.raises(UserError) as caught:
        study_of(config)
    assert caught.value.key.startswith(key)
    assert caught.value.remedy


def test_a_run_without_circuits_need_not_be_measured_on_its_own_task() -> None:
    config = yaml.safe_load(yaml.safe_dump(SMALL))
    config["runs"]["tuned"] |= {"evaluate": ["ioi2"], "circuits": False}
    assert study_of(config).runs["tuned"].evaluate == ("ioi2",)


def test_nodes_may_be_scored_beside_edges() -> None:
    study = study_of(SMALL | {"probes": {"edges": {"methods": ["EAP", "node"]}}})
    assert study.edges.methods == ("EAP", "node")


@pytest.mark.parametrize(("n_edges", "fits"), [(109, True), (110, False), (500, False)])
def test_compared_circuits_leave_out_edges_of_the_embedded_model(n_edges: int, fits: bool) -> None:
    """Of 17 into the first layer, 82 into the second and 11 into the logits."""
    config = yaml.safe_load(yaml.safe_dump(SMALL)) | {"comparison": {"edges": n_edges}}
    config["models"]["base"]["embedded"] |= {"layers": 2, "heads": 4}
    study = study_of(config)
    errors = list(circuit_size_errors(study))
    assert len(errors) == (not fits)
    for error in errors:
        assert f"circuits of {n_edges} edges are asked for" in error.problem
        assert "'base' has only 110" in error.problem


def test_a_run_without_circuits_is_of_any_size() -> None:
    config = yaml.safe_load(yaml.safe_dump(SMALL)) | {"comparison": {"edges": 10_000}}
    config["runs"]["tuned"]["circuits"] = False
    assert not list(circuit_size_errors(study_of(config)))


def test_circuits_are_drawn_as_large_as_they_are_compared_unless_told() -> None:
    config = SMALL | {"comparison": {"edges": 17}}
    assert study_of(config).figures["circuit"] == {"edges": 17}
    figures = {"circuit": {"edges": 5, "corruption": "pooled"}, "head_roles": {"top": 3}}
    assert study_of(config | {"figures": figures}).figures["circuit"] == figures["circuit"]
    assert study_of(config | {"figures": figures}).figures["head_roles"] == {"top": 3}


def test_a_rate_without_a_dot_is_a_number() -> None:
    config = yaml.safe_load(
        yaml.safe_dump(SMALL).replace("steps: 20", "steps: 20\n    learning_rate: 1e-4")
    )
    assert config["runs"]["tuned"]["learning_rate"] == "1e-4"
    assert study_of(config).runs["tuned"].recipe["learning_rate"] == 1e-4
