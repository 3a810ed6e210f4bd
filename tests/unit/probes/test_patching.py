"""Activation patching: equal to TransformerLens' cell by cell, and exact where it takes no run."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from tiny_models import (
    Boot,
    gpt2_config,
    llama_config,
    neox_config,
    random_model,
    random_prompts,
)
from transformer_lens import patching as oracle
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.errors import UserError
from timelapse.models.measure import logit_difference
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.cells import HEAD_SITES, HOOKS, POSITION_SITES, Cell
from timelapse.probes.patching.decoder import Decoder
from timelapse.probes.patching.hooked import HookedPatcher
from timelapse.probes.patching.probe import patcher_of, patching
from timelapse.probes.patching.runs import run_both
from timelapse.probes.patching.suffix import SuffixPatcher
from timelapse.tables import PATCHING

ORACLES = {
    "resid_pre": oracle.get_act_patch_resid_pre,
    "attn_out": oracle.get_act_patch_attn_out,
    "mlp_out": oracle.get_act_patch_mlp_out,
    "z": oracle.get_act_patch_attn_head_out_all_pos,
    "q": oracle.get_act_patch_attn_head_q_all_pos,
    "k": oracle.get_act_patch_attn_head_k_all_pos,
    "v": oracle.get_act_patch_attn_head_v_all_pos,
    "pattern": oracle.get_act_patch_attn_head_pattern_all_pos,
}
CONFIGS = {
    "gpt2": gpt2_config(n_layer=3),
    "gpt2 relu": gpt2_config(activation_function="relu"),
    "gpt2 scaled by layer": gpt2_config(scale_attn_by_inverse_layer_idx=True),
    "llama": llama_config(),
    "neox": neox_config(),
}
FAST = {"gpt2", "gpt2 relu"}
ALL_CONFIGS = pytest.mark.parametrize("name", CONFIGS)


def by_hand(bridge: TransformerBridge, prompts: Prompts) -> dict[str, np.ndarray]:
    """Shares restored [layer, position or head, prompt], from TransformerLens' own patching."""

    def measure(logits: torch.Tensor) -> torch.Tensor:
        return logit_difference(logits[:, -1], prompts.answer, prompts.foils)

    corrupted = prompts.corrupted["swap"]
    with torch.no_grad():
        logits, cache = bridge.run_with_cache(prompts.tokens)
        before, after = measure(bridge(corrupted)), measure(logits)
        return {
            site: (
                (patch(bridge, corrupted, cache, measure, reduce="none").values - before).numpy(),
                (after - before).numpy(),
            )
            for site, patch in ORACLES.items()
        }


def shares_of(table: pa.Table, site: str) -> np.ndarray:
    """Values [layer, position or head]."""
    rows = [row for row in table.to_pylist() if row["site"] == site]
    return np.array([row["value"] for row in rows]).reshape(rows[-1]["layer"] + 1, -1)


@ALL_CONFIGS
def test_every_cell_equals_that_of_transformer_lens(boot: Boot, name: str) -> None:
    bridge = boot(random_model(CONFIGS[name]))
    prompts = random_prompts(5, length=8)
    table = patching(bridge, [prompts], "swap", batch_size=4)
    runs = run_both(bridge, prompts, "swap")
    assert isinstance(patcher_of(bridge, runs), SuffixPatcher) == (name in FAST)
    for site, (effects, gaps) in by_hand(bridge, prompts).items():
        expected = effects.mean(-1) / gaps.mean()
        assert np.abs(expected).max() > 0.02
        np.testing.assert_allclose(shares_of(table, site), expected, atol=1e-4, err_msg=site)
