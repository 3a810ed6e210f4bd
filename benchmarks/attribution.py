"""Edge attribution against the machine's matrix products, and against TransformerLens'.

    python benchmarks/attribution.py [--threads 2]

GPT-2 small's shape with random weights in float32, 10 prompts of 20 tokens. Corrupted prompts
differ from the first token on, the worst case, or, as in three-object IOI, from the twelfth. Of
the floating-point operations only those of a bound are counted: 0.6 GFLOP a token for EAP and 2.2
for EAP-IG with five steps. They are set against the rate of large matrix products, measured in the
same run; once by the clock and once, because other work may share the machine, by the processor
seconds of this process. The fastest of several runs counts, of the methods and of the products.
The peak of memory is that of 100 prompts. TransformerLens scores one prompt at a time, by one
gradient; its time is of one prompt. Results go to benchmarks/attribution.json; two minutes.
"""

import argparse
import ctypes
import gc
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools.analysis.attribution_patching import (
    EdgeAttributionConfig,
    Node,
    attribution_patch,
)
from transformers import AutoModelForCausalLM, GPT2Config

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.methods import METHODS, MethodSettings
from timelapse.circuits.model_check import graph_of
from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import load_tokenizer
from timelapse.models.metric import LOGIT_DIFF
from timelapse.models.prompts import Prompts

TOKENS = 20
BOUND = {"EAP": 0.6e9, "EAP-IG": 2.2e9}
"""Floating-point operations for a token."""
WIDTH = 1536


@dataclass(frozen=True)
class Time:
    """The fastest of several runs, by the clock and by processor seconds."""

    seconds: float
    processor_seconds: float


def fastest(work: Callable[[], object], repeats: int) -> Time:
    clock, processor = [], []
    for _ in range(repeats):
        began, ran = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - began)
        processor.append(time.process_time() - ran)
    return Time(min(clock), min(processor))


def random_bridge(folder: Path) -> TransformerBridge:
    """A GPT-2 small with random weights."""
    torch.manual_seed(0)
    special = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    model = AutoModelForCausalLM.from_config(GPT2Config(**special)).eval()
    word_tokenizer(["word"]).save_pretrained(folder)
    model.config.save_pretrained(folder)
    bridge = TransformerBridge.boot_transformers(
        str(folder), hf_model=model, tokenizer=load_tokenizer(folder), device="cpu"
    )
    bridge.requires_grad_(False)
    return bridge


def random_prompts(n: int, first: int, vocabulary: int) -> Prompts:
    """Prompts whose corrupted forms have other words from `first` on."""
    draw = np.random.default_rng(0)
    tokens, corrupted = torch.from_numpy(draw.integers(2, vocabulary, (2, n, TOKENS)))
    corrupted[:, :first] = tokens[:, :first]
    words = torch.from_numpy(draw.permuted(np.tile(np.arange(2, 180), (n, 1)), axis=1))
    ends = {"end": torch.full((n,), TOKENS - 1)}
    return Prompts(np.arange(n), tokens, words[:, 0], words[:, 1:3], {"other": corrupted}, ends)


def scored(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, method: str
) -> torch.Tensor:
    """Scores [edge, prompt] by a method with its default settings."""
    found = METHODS[method].load()(bridge, shape, [prompts], "other", MethodSettings(), LOGIT_DIFF)
    return torch.cat([scores.scores for scores in found], 1)


class Products:
    """The rate of matrix products: the best seen of all that were run in between."""

    def __init__(self) -> None:
        self._factors = torch.randn(2, WIDTH, WIDTH)
        self.rate = self.processor_rate = 0.0

    def run(self) -> None:
        taken = fastest(lambda: self._factors[0] @ self._factors[1], repeats=8)
        self.rate = max(self.rate, 2 * WIDTH**3 / taken.seconds)
        self.processor_rate = max(self.processor_rate, 2 * WIDTH**3 / taken.processor_seconds)


def peak_above(work: Callable[[], object]) -> float:
    """GB that the process takes at most while it works, above what it had before (Linux)."""

    def status(key: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024 / 1e9

    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    work()
    return status("VmHWM") - before


def by_lens(bridge: TransformerBridge, shape: GraphShape, prompts: Prompts) -> torch.Tensor:
    """TransformerLens' scores of one prompt; it takes the gradient in its corrupted run."""

    def measure(logits: torch.Tensor) -> torch.Tensor:
        return logits[0, -1, prompts.answer[0]] - logits[0, -1, prompts.foils[0]].mean()

    def name(node: Node) -> str:
        if node.kind in ("embed", "logits"):
            return "input" if node.kind == "embed" else "logits"
        if node.head is None:
            return f"m{node.layer}"
        head = f"a{node.layer}.h{node.head}"
        return head if node.kind == "attn_head_out" else f"{head}<{node.kind[0]}>"

    bridge.requires_grad_(True)
    found = attribution_patch(
        bridge,
        clean=prompts.corrupted["other"],
        corrupt=prompts.tokens,
        metric_fn=measure,
        config=EdgeAttributionConfig(granularity="edge"),
    )
    bridge.requires_grad_(False)
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for (writer, reader), score in found.edge_scores.items():
        sums[name(writer), name(reader)] += score
    return torch.tensor([sums[source.name, target.name] for source, target in shape.edges])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        bridge = random_bridge(Path(folder))
        vocabulary = bridge.cfg.d_vocab
        shape = graph_of(bridge, [random_prompts(1, 0, vocabulary)], "other", LOGIT_DIFF)
        products = Products()
        times: dict[tuple[str, int], Time] = {}
        counted: dict[tuple[str, int], float] = {}
        for method in BOUND:
            for first in (0, 11):
                prompts = random_prompts(10, first, vocabulary)
                work = partial(scored, bridge, shape, prompts, method)
                work()
                for _ in range(options.repeats):
                    products.run()
                    taken = fastest(work, 1)
                    best = times.get((method, first), taken)
                    times[method, first] = Time(
                        min(best.seconds, taken.seconds),
                        min(best.processor_seconds, taken.processor_seconds),
                    )
                with FlopCounterMode(display=False) as counter:
                    work()
                counted[method, first] = counter.get_total_flops()
                print(method, first, times[method, first], flush=True)
        many = random_prompts(100, 0, vocabulary)
        memory = {}
        for method in BOUND:
            memory[method] = peak_above(partial(scored, bridge, shape, many, method))
        one = random_prompts(1, 0, vocabulary)
        began = time.perf_counter()
        expected = by_lens(bridge, shape, one)
        lens_seconds = time.perf_counter() - began
        found = scored(bridge, shape, one, "EAP")[:, 0]
    results = []
    for (method, first), taken in times.items():
        flops = BOUND[method] * 10 * TOKENS
        achieved, by_processor = flops / taken.seconds, flops / taken.processor_seconds
        results.append(
            {
                "method": method,
                "first_difference": first,
                "seconds": round(taken.seconds, 3),
                "processor_seconds": round(taken.processor_seconds, 3),
                "gflop_of_the_bound": flops / 1e9,
                "gflop_done": round(counted[method, first] / 1e9, 1),
                "gflop_per_second": round(achieved / 1e9, 1),
                "share_of_matrix_products": round(achieved / products.rate, 2),
                "share_by_processor_seconds": round(by_processor / products.processor_rate, 2),
                "seconds_if_products_ran_at_100": round(taken.seconds * products.rate / 100e9, 2),
            }
        )
    document = {
        "threads": options.threads,
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 2),
        "matrix_products_gflop_per_second": round(products.rate / 1e9, 1),
        "matrix_products_gflop_per_processor_second": round(products.processor_rate / 1e9, 1),
        "results": results,
        "peak_gb_above_the_model_for_100_prompts": {
            method: round(gigabytes, 2) for method, gigabytes in memory.items()
        },
        "lens_seconds_for_one_prompt": round(lens_seconds, 2),
        "ratio_to_lens": round(10 * lens_seconds / times["EAP", 0].seconds, 1),
        "largest_difference_to_lens": float((found - expected).abs().max()),
    }
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
