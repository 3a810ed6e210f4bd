"""Activation patching against TransformerLens' patching functions: the same cells, one process.

    python benchmarks/patching.py [--threads 1] [--share 0.02]

Two shapes with random weights: the embedded model and GPT-2 small. Prompts are 12 of 20 tokens; as
in three-object IOI the corrupted ones differ from the twelfth token on, or, as the worst case, from
the first. On GPT-2 small both sides patch the same random share of all cells, drawn evenly from
every site, and the ratio is that of the times for all cells: what is done once (the unpatched runs,
our check) plus the time of the patches over the share. TransformerLens needs a forward pass for
each cell. Results go to benchmarks/patching.json.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

import numpy as np
import pandas as pd
import torch
from transformer_lens import patching as lens
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, GPT2Config

from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import load_tokenizer
from timelapse.models.metric import LOGIT_DIFF, logit_difference
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.fast_decoder import Decoder
from timelapse.probes.patching.fast_patching import SuffixPatcher
from timelapse.probes.patching.grid import HEAD_SITES, POSITION_SITES, Cell
from timelapse.probes.patching.hooked import paired_runs

LENS = {
    "resid_pre": lens.get_act_patch_resid_pre,
    "attn_out": lens.get_act_patch_attn_out,
    "mlp_out": lens.get_act_patch_mlp_out,
    "z": lens.get_act_patch_attn_head_out_all_pos,
    "q": lens.get_act_patch_attn_head_q_all_pos,
    "k": lens.get_act_patch_attn_head_k_all_pos,
    "v": lens.get_act_patch_attn_head_v_all_pos,
    "pattern": lens.get_act_patch_attn_head_pattern_all_pos,
}
SHAPES = {
    "embedded": {
        "vocab_size": 180,
        "n_positions": 32,
        "n_embd": 128,
        "n_layer": 4,
        "n_head": 4,
        "activation_function": "gelu_pytorch_tanh",
    },
    "gpt2-small": {},
}
PROMPTS, TOKENS = 12, 20


def random_bridge(shape: dict[str, object], folder: Path) -> TransformerBridge:
    """A GPT-2 of this shape with random weights."""
    torch.manual_seed(0)
    special = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    model = AutoModelForCausalLM.from_config(GPT2Config(**shape, **special)).eval()
    word_tokenizer(["word"]).save_pretrained(folder)
    model.config.save_pretrained(folder)
    bridge = TransformerBridge.boot_transformers(
        str(folder), hf_model=model, tokenizer=load_tokenizer(folder), device="cpu"
    )
    bridge.requires_grad_(False)
    return bridge


def random_prompts(vocabulary: int, first: int) -> Prompts:
    """Prompts whose corrupted forms have other words at `first` and two tokens later."""
    draw = np.random.default_rng(0)
    tokens = torch.from_numpy(draw.integers(2, vocabulary, (PROMPTS, TOKENS)))
    corrupted = tokens.clone()
    for at in (first, first + 2):
        corrupted[:, at] = (corrupted[:, at] + 5) % (vocabulary - 2) + 2
    words = torch.from_numpy(draw.permuted(np.tile(np.arange(2, 180), (PROMPTS, 1)), axis=1))
    ends = {"end": torch.full((PROMPTS,), TOKENS - 1)}
    return Prompts(
        np.arange(PROMPTS), tokens, words[:, 0], words[:, 1:3], {"other": corrupted}, ends
    )


def drawn_cells(n_layers: int, n_heads: int, share: float) -> dict[str, list[Cell]]:
    """A random share of the cells of every site, one in each of as many equal parts."""
    draw = np.random.default_rng(1)
    cells = {}
    for site in (*POSITION_SITES, *HEAD_SITES):
        across = TOKENS if site in POSITION_SITES else n_heads
        every = [Cell(site, layer, at) for layer in range(n_layers) for at in range(across)]
        parts = np.array_split(np.arange(len(every)), max(1, round(share * len(every))))
        cells[site] = [every[draw.choice(part)] for part in parts]
    return cells


def floor_flops(cell: Cell, n_layers: int, width: int, first: int) -> float:
    """Operations that one prompt's cell cannot do without: matrix products, two per number.

    A layer's products per token are 3 d² (query, key, value), d² (output) and 8 d² (MLP), and
    4 d for each position attended to.
    """
    start = cell.at if cell.site in POSITION_SITES else first
    if cell.site in POSITION_SITES and start < first:
        return 0.0
    whole, total = TOKENS - start, 0.0
    last = n_layers - 1
    at_position = cell.site in POSITION_SITES
    entry = cell.layer + (cell.site in ("attn_out", "mlp_out"))
    if cell.site == "attn_out" and (entry < n_layers or start == TOKENS - 1):
        total += 16 * width**2
    for layer in range(entry, n_layers):
        changed = 1 if at_position and layer == entry else whole
        after = 1 if layer == last else whole
        if at_position or layer > entry:
            queries = min(changed, after) if layer != last else float(start + changed == TOKENS)
            total += (4 * changed + 2 * queries + 2 * after) * width**2
            total += 4 * width * TOKENS * after
        total += 16 * width**2 * after
    return total


Cells = dict[str, list[Cell]]
Measured = dict[str, np.ndarray]
"""Logit differences [cell, prompt] of every site."""


def by_lens(bridge: TransformerBridge, prompts: Prompts, cells: Cells) -> tuple[Measured, float]:
    """By TransformerLens; and the seconds that its clean run took."""

    def measure(logits: torch.Tensor) -> torch.Tensor:
        return logit_difference(logits[:, -1], prompts.answer, prompts.foils)

    began = time.perf_counter()
    found = {}
    with torch.no_grad():
        _, cache = bridge.run_with_cache(prompts.tokens)
        once = time.perf_counter() - began
        for site, chosen in cells.items():
            function = LENS[site].keywords
            frame = pd.DataFrame(
                [(cell.layer, cell.at) for cell in chosen],
                columns=list(function["index_axis_names"]),
            )
            found[site] = lens.generic_activation_patch(
                bridge,
                prompts.corrupted["other"],
                cache,
                measure,
                function["patch_setter"],
                function["activation_name"],
                index_df=frame,
                reduce="none",
            ).values.numpy()
    return found, once


def by_us(bridge: TransformerBridge, prompts: Prompts, cells: Cells) -> tuple[Measured, float]:
    """By this project; and the seconds that both runs and the check took."""
    began = time.perf_counter()
    decoder = Decoder.of(bridge)
    (runs,) = paired_runs(bridge, prompts, ["other"], LOGIT_DIFF)
    assert decoder is not None and decoder.reproduces(runs[:2])
    once = time.perf_counter() - began
    flat = [cell for chosen in cells.values() for cell in chosen]
    wanted = [c for c in flat if c.site in HEAD_SITES or c.at >= runs.start]
    row = {cell: number for number, cell in enumerate(wanted)}
    patched = SuffixPatcher(decoder)(runs, wanted).numpy()
    same = runs.corrupted_value.numpy()
    found = {
        site: np.stack([patched[row[cell]] if cell in row else same for cell in chosen])
        for site, chosen in cells.items()
    }
    return found, once


def timed(
    way: Callable[[TransformerBridge, Prompts, Cells], tuple[Measured, float]],
    bridge: TransformerBridge,
    prompts: Prompts,
    cells: Cells,
) -> tuple[float, float, Measured]:
    """Wall time, the part of it that is needed once, and the result."""
    began = time.perf_counter()
    found, once = way(bridge, prompts, cells)
    return time.perf_counter() - began, once, found


def compare(name: str, first: int, share: float, folder: Path) -> dict[str, object]:
    """Both ways on one shape."""
    bridge = random_bridge(SHAPES[name], folder)
    config = bridge.cfg
    prompts = random_prompts(config.d_vocab, first)
    cells = drawn_cells(config.n_layers, config.n_heads, share)
    few = {site: cells[site][:1] for site in ("resid_pre", "z")}
    by_us(bridge, prompts, few)
    by_lens(bridge, prompts, few)
    repeats = 3 if share == 1 else 1
    ours, our_once, found = min(
        (timed(by_us, bridge, prompts, cells) for _ in range(repeats)), key=itemgetter(0)
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    theirs, their_once, expected = timed(by_lens, bridge, prompts, cells)
    n_cells = sum(map(len, cells.values()))
    shape = (config.n_layers, config.d_model)
    flops = PROMPTS * sum(floor_flops(c, *shape, first) for part in cells.values() for c in part)
    our_total = our_once + (ours - our_once) / share
    their_total = their_once + (theirs - their_once) / share
    return {
        "shape": name,
        "first_difference": first,
        "cells": n_cells,
        "share_of_all_cells": share,
        "our_seconds": round(ours, 3),
        "lens_seconds": round(theirs, 3),
        "our_seconds_for_all_cells": round(our_total, 2),
        "lens_seconds_for_all_cells": round(their_total, 2),
        "ratio": round(their_total / our_total, 2),
        "largest_difference": max(float(np.abs(found[s] - expected[s]).max()) for s in cells),
        "floor_gflop": round(flops / 1e9, 2),
        "our_gflop_per_second": round(flops / 1e9 / (ours - our_once), 1),
        "peak_memory_gib_after_ours": round(peak, 2),
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.02, help="of GPT-2 small's cells")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, share in (("embedded", 1.0), ("gpt2-small", options.share)):
            for first in (11, 0):
                results.append(compare(name, first, share, Path(folder)))
                print(json.dumps(results[-1]), flush=True)
    document = {"threads": options.threads, "torch": torch.__version__, "results": results}
    options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
