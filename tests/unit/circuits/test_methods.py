"""The registry of methods: several in one call, the samples of the first."""

from typing import get_args

import numpy as np
import pytest
from tiny_models import random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.methods import METHODS, score_edges
from timelapse.circuits.settings import Ablation, Settings
from timelapse.errors import UserError
from timelapse.probes import registry


def test_the_samples_average_to_the_scores(gpt2: TransformerBridge) -> None:
    buckets = [random_prompts(3, length=6), random_prompts(2, length=8)]
    tables = score_edges(gpt2, buckets, ["swap"], ["EAP"], Settings(batch=2))
    samples = np.stack(tables["edge_samples"]["scores"].to_numpy())
    assert samples.shape[0] == 5
    assert np.abs(samples).max() > 1e-2
    np.testing.assert_allclose(samples.mean(0), tables["edges"]["score"], atol=1e-6)
    assert len(tables["edges_by_position"]) == 0


def test_every_method_is_run_on_every_corruption_and_the_first_is_sampled(
    gpt2: TransformerBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "other", METHODS["EAP"])  # type: ignore[arg-type]
    prompts = random_prompts(3, length=6)
    prompts.corrupted["more"] = prompts.corrupted["swap"].flip(0)
    tables = score_edges(gpt2, [prompts], ["swap", "more"], ["other", "EAP"], Settings())
    columns = (tables["edges"][name].to_pylist() for name in ("method", "corruption"))
    pairs = zip(*columns, strict=True)
    expected = [("other", "swap"), ("other", "more"), ("EAP", "swap"), ("EAP", "more")]
    assert list(dict.fromkeys(pairs)) == expected
    assert set(tables["edge_samples"]["method"].to_pylist()) == {"other"}
    assert tables["edge_samples"]["example"].to_pylist() == [0, 1, 2] * 2


def test_an_unknown_method_is_refused_with_the_names_of_those_there_are(
    gpt2: TransformerBridge,
) -> None:
    with pytest.raises(UserError, match="there is no such method"):
        score_edges(gpt2, [random_prompts(1, length=6)], ["swap"], ["IG"], Settings())


def test_the_methods_and_settings_of_config_and_code_are_the_same() -> None:
    assert get_args(registry.Method) == tuple(METHODS)
    assert get_args(registry.Ablation) == get_args(Ablation)
