"""Activations through the cache are the model's own, and the model runs once for all probes."""

import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import Boot, gpt2_config, llama_config, neox_config, random_model, random_prompts
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.activations.cache import ActivationCache, bytes_needed, numbers_per_prompt
from timelapse.activations.cache_directory import CacheDirectory
from timelapse.activations.cached_source import CachedSource
from timelapse.activations.keys import BlockIndex, merge_needs, rows_in_whole_blocks
from timelapse.activations.source import ActivationSpec, LiveSource
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.prompts import Prompts

CAP = 10**8
Z, STREAM = hooks.z(1), hooks.resid_post(0)
NEEDS = [
    ActivationSpec(Z, "all"),
    ActivationSpec(STREAM, "end"),
    ActivationSpec(hooks.LOGITS, "end"),
]


def source(
    bridge: TransformerBridge,
    folder: Path,
    prompts: list[Prompts],
    needs: list[ActivationSpec] = NEEDS,
    shared: list[ActivationSpec] = NEEDS,
    dtype: torch.dtype = torch.float32,
    rows: int = 4,
    cap: int = CAP,
    checkpoint: str = "checkpoint",
) -> CachedSource:
    cache = ActivationCache(CacheDirectory(folder, cap))
    index = BlockIndex(cache, prompts, merge_needs([*needs, *shared]), bridge.cfg, dtype, rows)
    return CachedSource(index, bridge, checkpoint, needs)


@pytest.fixture
def passes(gpt2: TransformerBridge) -> Iterator[Callable[[], int]]:
    """How many forward passes the model has made."""
    count = 0

    def add(*_: object) -> None:
        nonlocal count
        count += 1

    handle = gpt2.original_model.register_forward_pre_hook(add)
    yield lambda: count
    handle.remove()


def assert_equal(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert wanted[name].abs().max() > 1e-2
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10])
def test_activations_are_those_of_the_model_computed_and_found(
    gpt2: TransformerBridge, tmp_path: Path, batch_size: int
) -> None:
    prompts = [random_prompts(10, length=6)]
    live, cached = LiveSource(gpt2, NEEDS), source(gpt2, tmp_path, prompts)
    for batch in prompts[0].batches(batch_size):
        computed = cached(batch)
        assert_equal(computed, live(batch))
        found = source(gpt2, tmp_path, prompts)(batch)
        assert all(torch.equal(computed[name], found[name]) for name in computed)


def test_a_second_probe_loads_and_does_not_run_the_model(
    gpt2: TransformerBridge, tmp_path: Path, passes: Callable[[], int]
) -> None:
    prompts = [random_prompts(10, length=6)]
    first, second = (
        [ActivationSpec(Z, "all")],
        [ActivationSpec(STREAM, "end"), ActivationSpec(Z, "end")],
    )
    for batch in prompts[0].batches(10):
        source(gpt2, tmp_path, prompts, first, first + second)(batch)
    assert passes() == 3
    wanted = LiveSource(gpt2, second)(prompts[0])
    before = passes()
    for batch, rows in ((prompts[0][:7], slice(0, 7)), (prompts[0][7:], slice(7, 10))):
        found = source(gpt2, tmp_path, prompts, second, first + second)(batch)
        assert_equal(found, {name: value[rows] for name, value in wanted.items()})
    assert passes() == before


def test_hits_and_misses_are_counted(gpt2: TransformerBridge, tmp_path: Path) -> None:
    prompts = [random_prompts(10, length=6)]
    for _ in range(3):
        source(gpt2, tmp_path, prompts)(prompts[0])
    held = CacheDirectory(tmp_path, CAP).contents()
    assert (held.files, held.hits, held.misses) == (3, 6, 3)


def test_a_probe_that_is_added_later_computes_only_what_is_missing(
    gpt2: TransformerBridge, tmp_path: Path, passes: Callable[[], int]
) -> None:
    prompts = [random_prompts(4, length=6)]
    source(gpt2, tmp_path, prompts)(prompts[0])
    held = CacheDirectory(tmp_path, CAP).contents()
    added = [*NEEDS, ActivationSpec(hooks.query(0), "all")]
    found = source(gpt2, tmp_path, prompts, added, added)(prompts[0])
    assert_equal(found, LiveSource(gpt2, added)(prompts[0]))
    grown = CacheDirectory(tmp_path, CAP).contents()
    assert grown.files == held.files + 1
    queries = 4 * 6 * 16 * 4
    assert queries < grown.bytes - held.bytes < queries + 500
    before = passes()
    source(gpt2, tmp_path, prompts, added, added)(prompts[0])
    assert passes() == before


def test_a_study_that_keeps_the_end_reads_what_another_kept_of_all_positions(
    gpt2: TransformerBridge, tmp_path: Path, passes: Callable[[], int]
) -> None:
    prompts = [random_prompts(4, length=6)]
    wide, narrow = [ActivationSpec(hooks.query(0), "all")], [ActivationSpec(hooks.query(0), "end")]
    source(gpt2, tmp_path, prompts, wide, [])(prompts[0])
    before = passes()
    found = source(gpt2, tmp_path, prompts, narrow, [])(prompts[0])
    assert passes() == before
    assert_equal(found, LiveSource(gpt2, narrow)(prompts[0]))


def test_probes_with_other_numbers_of_prompts_share_files(
    gpt2: TransformerBridge, tmp_path: Path, passes: Callable[[], int]
) -> None:
    dataset = random_prompts(40, length=6)
    for n_prompts in (9, 5, 12):
        blocks = [dataset[: rows_in_whole_blocks(n_prompts, 4)]]
        source(gpt2, tmp_path, blocks)(dataset[:n_prompts])
    assert passes() == 3
    assert CacheDirectory(tmp_path, CAP).contents().files == 3


def test_prompts_are_found_in_the_bucket_of_their_length(
    gpt2: TransformerBridge, tmp_path: Path
) -> None:
    short, long = random_prompts(5, length=5), random_prompts(5, length=8)
    short = replace(short, rows=np.arange(0, 10, 2))
    long = replace(long, rows=np.arange(1, 10, 2))
    cached = source(gpt2, tmp_path, [short, long])
    for bucket in (long, short):
        for batch in bucket.batches(3):
            assert_equal(cached(batch), LiveSource(gpt2, NEEDS)(batch))


def test_prompts_of_another_dataset_are_refused(gpt2: TransformerBridge, tmp_path: Path) -> None:
    cached = source(gpt2, tmp_path, [random_prompts(6, length=6)])
    with pytest.raises(ValueError, match="not those of the index's dataset"):
        cached(random_prompts(6, length=6, seed=1))
    with pytest.raises(ValueError, match="row 6 is not in"):
        cached(random_prompts(7, length=6)[6:])


@pytest.mark.parametrize("damage", ["bit", "truncated", "empty"])
def test_a_damaged_file_is_removed_and_made_again(
    gpt2: TransformerBridge, tmp_path: Path, passes: Callable[[], int], damage: str
) -> None:
    prompts = [random_prompts(4, length=6)]
    wanted = source(gpt2, tmp_path, prompts)(prompts[0])
    (file,) = tmp_path.glob("*/*.safetensors")
    content = file.read_bytes()
    spoilt = bytearray(content)
    spoilt[-7] ^= 16
    file.write_bytes({"bit": spoilt, "truncated": spoilt[:-50], "empty": b""}[damage])
    found = source(gpt2, tmp_path, prompts)(prompts[0])
    assert passes() == 2
    assert_equal(found, wanted)
    assert file.read_bytes() == content


def test_checkpoints_do_not_mix(boot: Boot, tmp_path: Path) -> None:
    prompts = [random_prompts(4, length=6)]
    for seed in (0, 1, 0):
        bridge = boot(random_model(gpt2_config(), seed=seed))
        found = source(bridge, tmp_path, prompts, checkpoint=str(seed))(prompts[0])
        assert_equal(found, LiveSource(bridge, NEEDS)(prompts[0]))
    assert CacheDirectory(tmp_path, CAP).contents().files == 2


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float16, 11), (torch.bfloat16, 8)])
def test_half_precision_takes_half_the_disk_and_errs_by_its_last_bit(
    gpt2: TransformerBridge, tmp_path: Path, dtype: torch.dtype, bits: int
) -> None:
    prompts = [random_prompts(8, length=6)]
    wanted = LiveSource(gpt2, NEEDS)(prompts[0])
    computed = source(gpt2, tmp_path / "half", prompts, dtype=dtype)(prompts[0])
    found = source(gpt2, tmp_path / "half", prompts, dtype=dtype)(prompts[0])
    for name, value in wanted.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], computed[name])
        error = (found[name] - value).abs()
        assert error.max() > 0
        assert (error <= value.abs() * 2.0**-bits * 1.001 + 1e-7).all()
    source(gpt2, tmp_path / "whole", prompts)(prompts[0])
    half, full = (
        CacheDirectory(tmp_path / name, CAP).contents().bytes for name in ("half", "whole")
    )
    data = bytes_needed(NEEDS, gpt2.cfg, prompts, dtype)
    assert full - half == pytest.approx(data, abs=50)


def test_the_precision_of_a_source_is_the_coarser_of_model_and_cache(
    gpt2: TransformerBridge, tmp_path: Path
) -> None:
    prompts = [random_prompts(8, length=6)]
    assert LiveSource(gpt2, NEEDS).dtype == torch.float32
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert source(gpt2, tmp_path, prompts, dtype=dtype).dtype == dtype


def test_an_activation_beyond_float16_is_an_error_and_not_infinite(
    gpt2: TransformerBridge, tmp_path: Path
) -> None:
    gpt2.ln_final.original_component.bias.data[0] = 1e6
    prompts, needs = [random_prompts(4, length=6)], [ActivationSpec("ln_final.hook_out", "end")]
    with pytest.raises(UserError, match=r"activations\.dtype.*1e\+06.*bfloat16"):
        source(gpt2, tmp_path, prompts, needs, [], dtype=torch.float16)(prompts[0])
    source(gpt2, tmp_path, prompts, needs, [], dtype=torch.bfloat16)(prompts[0])


def test_without_a_cache_activations_are_computed_every_time(
    gpt2: TransformerBridge, tmp_path: Path, passes: Callable[[], int]
) -> None:
    prompts = [random_prompts(4, length=6)]
    cached = source(gpt2, tmp_path / "none", prompts, cap=0)
    for _ in range(2):
        assert_equal(cached(prompts[0]), LiveSource(gpt2, NEEDS)(prompts[0]))
    assert passes() == 4
    assert not (tmp_path / "none").exists()


def test_memory_does_not_grow_with_the_number_of_prompts(
    gpt2: TransformerBridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weighed: all floating-point tensors that are alive whenever something is written."""
    alive: list[int] = []
    put = ActivationCache.put

    def weigh_and_put(self: ActivationCache, key: str, tensors: Mapping[str, Tensor]) -> None:
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for tensor in gc.get_objects()
            if type(tensor) is Tensor and tensor.is_floating_point()
        }
        alive.append(sum(storages.values()))
        put(self, key, tensors)

    monkeypatch.setattr(ActivationCache, "put", weigh_and_put)
    needs = [
        ActivationSpec(name(layer), "all") for layer in (0, 1) for name in (hooks.z, hooks.mlp_out)
    ]
    peaks = []
    for n_prompts in (16, 160):
        prompts = [random_prompts(n_prompts, length=16)]
        alive.clear()
        cached = source(gpt2, tmp_path, prompts, needs, needs, rows=8)
        for batch in prompts[0].batches(8):
            cached(batch)
        assert len(alive) == n_prompts // 8
        peaks.append(max(alive))
    block = 8 * 16 * 16 * 4 * len(needs)
    assert peaks[0] > block
    assert peaks[1] - peaks[0] < block


HOOKS = [hooks.resid_pre, hooks.resid_mid, hooks.resid_post, hooks.attn_out, hooks.mlp_out]
HOOKS += [hooks.attn_scale, hooks.attn_normalized, hooks.mlp_norm_in]
HOOKS += [hooks.query, hooks.key, hooks.value, hooks.z]


@pytest.mark.parametrize(
    "config", [gpt2_config(), llama_config(), neox_config()], ids=lambda config: config.model_type
)
@pytest.mark.parametrize("where", ["all", "end"])
def test_sizes_are_known_before_anything_runs(
    boot: Boot, config: PretrainedConfig, where: str
) -> None:
    bridge, prompts = boot(random_model(config)), random_prompts(3, length=6)
    parallel = bridge.cfg.parallel_attn_mlp
    names = [name(1) for name in HOOKS if not (parallel and name is hooks.resid_mid)]
    names += ["blocks.1.attn.hook_pattern", hooks.FINAL_SCALE]
    needs = [ActivationSpec(name, where) for name in names]
    needs += [ActivationSpec(hooks.LOGITS, "end")]
    for hook, activation in LiveSource(bridge, needs)(prompts).items():
        (need,) = [need for need in needs if need.hook == hook]
        assert numbers_per_prompt(need, bridge.cfg, 6) * 3 == activation.numel(), hook


def test_every_hook_has_a_size(gpt2: TransformerBridge) -> None:
    named = [value for key, value in vars(hooks).items() if callable(value) and key.islower()]
    names = [
        value(0)
        for value in named
        if value.__module__ == hooks.__name__ and value.__annotations__["return"] is str
    ]
    assert len(names) >= len(HOOKS)
    for name in names:
        assert numbers_per_prompt(ActivationSpec(name, "all"), gpt2.cfg, 6) > 0


def test_the_bytes_that_are_missing_are_those_that_get_written(
    gpt2: TransformerBridge, tmp_path: Path
) -> None:
    prompts = [random_prompts(10, length=6), replace(random_prompts(3, 8), rows=np.arange(10, 13))]
    index = BlockIndex(
        ActivationCache(CacheDirectory(tmp_path, CAP)),
        prompts,
        merge_needs(NEEDS),
        gpt2.cfg,
        torch.float32,
        4,
    )
    numbers = (6 + 1) * 16 + 30, (8 + 1) * 16 + 30
    assert (
        index.bytes_needed()
        == index.bytes_missing("checkpoint")
        == 4 * (10 * numbers[0] + 3 * numbers[1])
    )
    cached = CachedSource(index, gpt2, "checkpoint", NEEDS)
    cached(prompts[0])
    assert index.bytes_missing("checkpoint") == 4 * 3 * numbers[1]
    assert index.bytes_missing("another") == index.bytes_needed()
