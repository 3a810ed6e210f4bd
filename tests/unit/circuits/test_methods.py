"""The registry of methods: several in one call, the samples of the first."""

import subprocess
import sys
from dataclasses import fields
from typing import get_args

import numpy as np
import pytest
from tiny_models import random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.methods import METHODS, AblationKind, MethodSettings, methods_table
from timelapse.circuits.scoring import score_edges
from timelapse.errors import UserError
from timelapse.models.metric import LOGIT_DIFF
from timelapse.probes.probe_settings import Ablation, EdgesSettings
from timelapse.provenance import SCRIPTS

ROOT = SCRIPTS.parents[1]


def test_the_samples_average_to_the_scores(gpt2: TransformerBridge) -> None:
    buckets = [random_prompts(3, length=6), random_prompts(2, length=8)]
    tables = score_edges(gpt2, buckets, ["swap"], ["EAP"], MethodSettings(batch=2), LOGIT_DIFF)
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
    tables = score_edges(
        gpt2, [prompts], ["swap", "more"], ["other", "EAP"], MethodSettings(), LOGIT_DIFF
    )
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
        score_edges(
            gpt2, [random_prompts(1, length=6)], ["swap"], ["IG"], MethodSettings(), LOGIT_DIFF
        )


def test_the_methods_of_the_config_are_those_that_there_are() -> None:
    assert EdgesSettings(methods=tuple(METHODS)).methods == tuple(METHODS)
    with pytest.raises(ValueError, match="Input should be 'EAP', 'EAP-IG'"):
        EdgesSettings(methods=("no such method",))
    assert get_args(Ablation) == get_args(AblationKind)


def test_what_a_method_reads_are_settings_of_the_config_and_of_methods() -> None:
    for method in METHODS.values():
        assert {*method.settings} <= {field.name for field in fields(MethodSettings)}
        assert {*method.settings} <= EdgesSettings.model_fields.keys()
        assert method.by_position == ("positions" in method.settings)


def test_every_function_is_where_its_entry_says() -> None:
    assert all(callable(method.load()) for method in METHODS.values())


def test_the_documentation_lists_the_methods_as_they_are_declared() -> None:
    assert methods_table() in (ROOT / "docs/circuits.md").read_text(encoding="utf-8")


def test_the_registry_is_free_of_torch() -> None:
    code = "import sys, timelapse.circuits.methods; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=False).returncode == 0
