"""What jobs ask for: formulas against counts, and against what was measured."""

import json
from pathlib import Path

import pytest
import yaml

from timelapse.circuits.graph import GraphShape
from timelapse.models import device
from timelapse.models.sources import read_config_json
from timelapse.probes.probe_settings import EdgesSettings
from timelapse.probes.registry import PROBES, Work
from timelapse.study.config_files import ConfigFiles, Layer
from timelapse.study.resources import BATCH, Request, Requests, Size, for_attempts
from timelapse.study.study import Study, read_study
from timelapse.tasks.spec import load_spec

ROOT = Path(__file__).parents[3]
SMALL = Size(layers=2, heads=3, width=12, hidden=48, vocabulary=50, context=16)
GPT2 = Size.of_config({})
PEAK_MB = {
    "win_rate": 453,
    "logit_diff": 485,
    "patching": 484,
    "attention": 488,
    "head_roles": 487,
    "logit_lens": 483,
    "edges": 485,
    "faithfulness": 490,
}
"""Peak resident MiB of the probes' jobs in the tiny study on a CPU: imports and little else."""


def default_study() -> tuple[Study, Requests]:
    study = read_study(ConfigFiles.read([ROOT / "config.yaml"]))
    return study, Requests(
        study, {task: load_spec(ROOT / "tasks" / f"{task}.yaml") for task in study.tasks}
    )


def test_edges_are_counted_as_the_graph_has_them() -> None:
    assert SMALL.edges == len(GraphShape(2, 3, 3).edges)
    assert GPT2.edges == len(GraphShape(12, 12, 12).edges)


def test_gpt2_has_its_weights_and_is_what_an_unknown_model_is_taken_for() -> None:
    assert 124e6 < GPT2.parameters < 200e6


def test_the_size_of_a_folder_is_read_from_its_config(tmp_path: Path) -> None:
    config = {"n_layer": 2, "n_head": 3, "n_embd": 12, "vocab_size": 50, "n_positions": 16}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert Size.of_config(read_config_json(tmp_path)) == SMALL
    other = {"num_hidden_layers": 2, "num_attention_heads": 3, "hidden_size": 12}
    more = {"intermediate_size": 48, "vocab_size": 50, "max_position_embeddings": 16}
    (tmp_path / "config.json").write_text(json.dumps(other | more))
    assert Size.of_config(read_config_json(tmp_path)) == SMALL


def test_requests_grow_with_every_attempt() -> None:
    asked = for_attempts(lambda wildcards: Request(mem_mb=1500, runtime=3))
    assert [asked["mem_mb"](None, attempt) for attempt in (1, 2, 3)] == [1500, 3000, 4500]
    assert [asked["runtime"](None, attempt) for attempt in (1, 2)] == [3, 6]


def test_more_checkpoints_take_more_time_and_no_more_memory() -> None:
    study, requests = default_study()
    run = study.runs["two_to_three"]
    one, many = (requests.probe("patching", run, "ioi3", n) for n in (1, 24))
    assert many.runtime > one.runtime
    assert many.mem_mb == one.mem_mb


def test_exact_scores_take_a_pass_for_every_edge() -> None:
    settings = EdgesSettings(methods=("exact",), ig_steps=5)
    work = Work(2, 3, SMALL.edges, length=10, corruptions=2)
    assert PROBES["edges"].passes(settings, work) == 2 * SMALL.edges


def test_automatic_batches_are_those_of_a_cpu() -> None:
    assert BATCH == device.BATCH


@pytest.mark.parametrize("probe", PEAK_MB)
def test_a_probe_asks_for_more_memory_than_it_was_seen_to_take(probe: str) -> None:
    study, requests = default_study()
    run = study.runs["two_to_three"]
    asked = requests.probe(probe, run, "ioi3", 1).mem_mb
    assert PEAK_MB[probe] * 2**20 / 1e6 < asked < 2_000


@pytest.mark.parametrize("probe", PEAK_MB)
def test_a_probe_asks_for_more_time_than_the_benchmark_of_the_study_took(probe: str) -> None:
    study, requests = default_study()
    run = study.runs["two_to_three"]
    took = json.loads((ROOT / "benchmarks" / "study.json").read_text())["before"]["rules"][probe]
    minutes = requests.probe(probe, run, "ioi3", len(run.steps)).runtime
    assert took["seconds"] / took["jobs"] / 60 < minutes < 60


def test_a_model_from_the_hub_is_sized_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["models"]["base"] = {"hub": "gpt2"}
    study = read_study(ConfigFiles.of([Layer("config", config)]))
    requests = Requests(study, {})
    monkeypatch.chdir(tmp_path)
    assert requests.size("base") == GPT2
    fetched = tmp_path / "results/models/base"
    fetched.mkdir(parents=True)
    (fetched / "config.json").write_text(json.dumps({"n_layer": 24, "n_embd": 1024}))
    assert requests.size("base").layers == 24
