"""A sweep through the store: the tables are those of the model, which runs once for all probes."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from tiny_models import WORDS, gpt2_config, random_model
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations import source as live
from timelapse.activations.cache_directory import FOLDER, CacheDirectory
from timelapse.activations.source import ActivationSpec, LiveSource
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.checkpoints import save_checkpoint
from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import each_bridge, load_model, load_tokenizer
from timelapse.paths import step_folder, step_of
from timelapse.probes import logit_diff
from timelapse.probes.sweep_cached import all_needs
from timelapse.sweep import Cache, Measurement, first_prompts, measure
from timelapse.tasks.spec import dataset_schema

N_ROWS = 23


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Prompts of two lengths in turn."""
    rows = []
    for number in range(N_ROWS):
        words = [WORDS[(number * 7 + place * 3) % 20] for place in range(5 + number % 2)]
        start = len(" ".join(words[:-1])) + 1
        rows.append(
            {
                "example_id": number,
                "template": "words",
                "prompt": " ".join(words),
                "answer": WORDS[number % 7],
                "foils": [WORDS[20], WORDS[21]],
                "positions": [{"label": "end", "start": start, "end": start + len(words[-1])}],
                "corrupted_swap": " ".join([WORDS[22], *words[1:]]),
                "answer_swap": WORDS[23],
            }
        )
    path = tmp_path / "test.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=dataset_schema(["swap"])), path)
    return path


@pytest.fixture
def checkpoints(tmp_path: Path) -> list[Path]:
    folders = [step_folder(tmp_path / "run", step) for step in (0, 8)]
    for seed, folder in enumerate(folders):
        model = random_model(gpt2_config(vocab_size=len(word_tokenizer(WORDS))), seed=seed)
        save_checkpoint(model, word_tokenizer(WORDS), folder)
    return folders


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that models have been run on."""
    sizes: list[int] = []
    run = live.last_logits

    def counted(bridge: TransformerBridge, tokens: torch.Tensor) -> torch.Tensor:
        sizes.append(len(tokens))
        return run(bridge, tokens)

    monkeypatch.setattr(live, "last_logits", counted)
    return sizes


def swept(
    tmp_path: Path, dataset: Path, checkpoints: Sequence[Path], n_prompts: int, batch: int
) -> list[pa.Table]:
    """The tables of logit_diff over the checkpoints."""
    steps = [step_of(folder) for folder in checkpoints]
    measurement = Measurement(
        probe="logit_diff",
        task="test",
        steps=steps,
        first=0,
        settings={"prompts": n_prompts, "batch": batch},
        corruptions=["swap"],
        seed=0,
        compute={"dtype": "auto", "tf32": "auto"},
        activations={"dtype": "float32", "rows": 8},
    )
    path = tmp_path / "logit_diff.parquet"
    cache = Cache(tmp_path / "store", cap_gb=1.0)
    measure(measurement, checkpoints[0].parent, dataset, [], {"logit_diff": path}, cache)
    table = pq.read_table(path)
    assert pq.ParquetFile(path).num_row_groups == len(steps)
    return [table.filter(pc.equal(table["step"], step)) for step in steps]


def test_tables_are_those_of_the_model_itself(
    tmp_path: Path, dataset: Path, checkpoints: list[Path]
) -> None:
    found = swept(tmp_path, dataset, checkpoints, n_prompts=13, batch=5)
    prompts = first_prompts(dataset, checkpoints[0], 13)
    assert [len(bucket) for bucket in prompts] == [7, 6]
    for step, table, bridge in zip((0, 8), found, each_bridge(checkpoints, "cpu"), strict=True):
        source = LiveSource(bridge, logit_diff.needs(bridge.cfg))
        wanted = logit_diff.logit_diff(bridge, source, prompts, 100)
        assert table["step"].unique().to_pylist() == [step]
        difference = table["value"].to_numpy() - wanted["value"].to_numpy()
        assert abs(difference).max() < 1e-5 < abs(wanted["value"].to_numpy()).max()


def test_a_second_sweep_runs_no_model_whatever_its_batches_and_fewer_prompts(
    tmp_path: Path, dataset: Path, checkpoints: list[Path], passes: list[int]
) -> None:
    first = swept(tmp_path, dataset, checkpoints, n_prompts=16, batch=16)
    assert passes == 4 * [4, 4]
    passes.clear()
    again = swept(tmp_path, dataset, checkpoints, n_prompts=16, batch=16)
    assert all(table.equals(before) for table, before in zip(again, first, strict=True))
    fewer = swept(tmp_path, dataset, checkpoints, n_prompts=11, batch=3)
    assert passes == []
    assert not fewer[0].equals(first[0])


def test_the_last_block_ends_with_the_dataset(
    tmp_path: Path, dataset: Path, checkpoints: list[Path], passes: list[int]
) -> None:
    swept(tmp_path, dataset, checkpoints[:1], n_prompts=400, batch=100)
    assert sum(passes) == N_ROWS


def test_runs_that_start_from_one_model_share_its_activations(
    tmp_path: Path, dataset: Path, checkpoints: list[Path], passes: list[int]
) -> None:
    swept(tmp_path, dataset, checkpoints[:1], n_prompts=16, batch=16)
    passes.clear()
    other = step_folder(tmp_path / "another run", 0)
    save_checkpoint(load_model(checkpoints[0], "cpu"), load_tokenizer(checkpoints[0]), other)
    swept(tmp_path, dataset, [other], n_prompts=16, batch=16)
    assert passes == []


def test_the_size_is_printed_before_the_first_probe(
    tmp_path: Path, dataset: Path, checkpoints: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path, dataset, checkpoints, n_prompts=16, batch=16)
    printed = capfd.readouterr().err
    assert "activations of 2 checkpoints: at most " in printed
    assert f"{tmp_path}/store/{FOLDER} holds 0 of 1 GB" in printed


def test_too_little_disk_stops_the_job_before_the_first_probe(
    tmp_path: Path, dataset: Path, checkpoints: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CacheDirectory, "free", lambda self: 1000)
    with pytest.raises(UserError, match=r"bytes are needed for activations, 1,000 are free"):
        swept(tmp_path, dataset, checkpoints, n_prompts=16, batch=16)
    assert not list(tmp_path.glob("*logit_diff.parquet*"))


def test_what_is_there_already_needs_no_room(
    tmp_path: Path, dataset: Path, checkpoints: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path, dataset, checkpoints, n_prompts=16, batch=16)
    monkeypatch.setattr(CacheDirectory, "free", lambda self: 1000)
    swept(tmp_path, dataset, checkpoints, n_prompts=16, batch=16)


def test_whoever_computes_activations_keeps_those_of_all_probes(checkpoints: list[Path]) -> None:
    (bridge,) = each_bridge(checkpoints[:1], "cpu")
    needs = all_needs(bridge.cfg)
    assert set(logit_diff.needs(bridge.cfg)) < set(needs)
    assert ActivationSpec(hooks.pattern(1), "all") in needs
