"""Models in half precision: the bridge knows its dtype, and measurements are those of float32."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from tiny_models import WORDS, gpt2_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import LiveSource
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.scoring import score_edges
from timelapse.models.checkpoints import save_checkpoint
from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import each_bridge
from timelapse.models.metric import LOGIT_DIFF
from timelapse.probes import logit_diff, logit_lens

HALF = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
PROMPTS = [random_prompts(8, length=6)]


def decomposed(bridge: TransformerBridge) -> pa.ChunkedArray:
    source = LiveSource(bridge, logit_diff.needs(bridge.cfg))
    return logit_diff.logit_diff(bridge, source, PROMPTS, 4)["value"]


def read_through_the_lens(bridge: TransformerBridge) -> pa.ChunkedArray:
    source = LiveSource(bridge, logit_lens.needs(bridge.cfg))
    return logit_lens.logit_lens(bridge, source, PROMPTS, 4, 3)["logit_lens"]["value"]


def attributed(bridge: TransformerBridge) -> pa.ChunkedArray:
    return score_edges(bridge, PROMPTS, ["swap"], ["EAP-IG"], MethodSettings(), LOGIT_DIFF)[
        "edges"
    ]["score"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[torch.dtype], TransformerBridge]:
    folder: Path = tmp_path_factory.mktemp("model") / "model"
    model = random_model(gpt2_config(vocab_size=len(word_tokenizer(WORDS))))
    save_checkpoint(model, word_tokenizer(WORDS), folder)
    return cache(lambda dtype: next(each_bridge([folder], "cpu", dtype)))


@HALF
@pytest.mark.parametrize("measure", [decomposed, read_through_the_lens, attributed])
def test_half_precision_measures_what_float32_does(loaded, dtype: torch.dtype, measure) -> None:
    assert loaded(dtype).cfg.dtype is dtype
    found, wanted = (measure(loaded(one)).to_numpy() for one in (dtype, torch.float32))
    difference = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert 0 < difference < 0.1
