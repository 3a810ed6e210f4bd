"""How much of the model the methods run: no more than their scores depend on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import torch
from circuits.attribution.scoring import prompt_scores
from circuits.score_batches import score_batches
from tiny_models import ARCHITECTURES, Boot, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution import passes
from timelapse.circuits.attribution.passes import Pass
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.model_check import graph_shape
from timelapse.models.metric import LOGIT_DIFF
from timelapse.models.prefix_cache import Prefix
from timelapse.models.prompts import Prompts


@dataclass
class Work:
    """Tokens that went through the first block and the last MLP, and backward passes."""

    first_block: list[int] = field(default_factory=list)
    last_mlp: list[int] = field(default_factory=list)
    backward: int = 0


@contextmanager
def counted(bridge: TransformerBridge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    work = Work()
    grad = torch.autograd.grad

    def counting(*inputs: object, **options: object) -> object:
        work.backward += 1
        return grad(*inputs, **options)

    def of_block(activation: torch.Tensor, hook: object) -> None:
        work.first_block.append(activation.shape[0] * activation.shape[1])

    def of_mlp(activation: torch.Tensor, hook: object) -> None:
        work.last_mlp.append(activation.shape[0] * activation.shape[1])

    monkeypatch.setattr(torch.autograd, "grad", counting)
    observers = [("blocks.0.hook_resid_pre", of_block), ("blocks.1.hook_mlp_out", of_mlp)]
    with bridge.hooks(fwd_hooks=observers):
        yield work
    monkeypatch.undo()


def run(bridge: TransformerBridge, prompts: Prompts, method: str, steps: int = 1) -> torch.Tensor:
    found = score_batches(
        method, bridge, graph_shape(bridge), [prompts], "swap", MethodSettings(ig_steps=steps)
    )
    return torch.cat([scores.scores for scores in found], 1)


@pytest.mark.parametrize(
    ("method", "steps", "forward", "backward"),
    [
        ("EAP", 1, 2, 1),
        ("EAP-IG", 1, 2, 1),
        ("EAP-IG", 5, 6, 5),
        ("clean-corrupted", 1, 2, 2),
        ("node", 1, 2, 1),
        ("EAP-IG-activations", 3, 2 + 2 * 7, 1 + 2 * 7),
    ],
)
def test_passes_run_the_tokens_from_the_corruption_on_and_the_others_once(
    gpt2: TransformerBridge,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    steps: int,
    forward: int,
    backward: int,
) -> None:
    """Seven sources have two more steps each along activations."""
    prompts = random_prompts(3, length=9, corrupted_from=4)
    monkeypatch.setattr("timelapse.circuits.attribution.batching.prompts_at_once", lambda *_: 3)
    with counted(gpt2, monkeypatch) as work:
        run(gpt2, prompts, method, steps)
    assert work.first_block == [3 * 4] + [3 * 5] * forward
    assert work.last_mlp == [3] * forward
    assert work.backward == backward


def test_one_step_of_eap_ig_is_eap(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(3, length=6)
    found = run(gpt2, prompts, "EAP")
    assert found.abs().max() > 1e-2
    for method in ("EAP-IG", "EAP-IG-activations"):
        torch.testing.assert_close(run(gpt2, prompts, method, 1), found, rtol=0, atol=0)
        assert (run(gpt2, prompts, method, 2) - found).abs().max() > 1e-2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("method", ["EAP-IG", "EAP-IG-activations", "node"])
def test_what_is_left_out_changes_no_score(
    boot: Boot, monkeypatch: pytest.MonkeyPatch, architecture: str, method: str
) -> None:
    bridge = boot(random_model(ARCHITECTURES[architecture]()))
    prompts = random_prompts(3, length=8, corrupted_from=4)
    found = run(bridge, prompts, method, 2)

    class Whole(Prefix):
        @classmethod
        def shared(cls, *_: object) -> Prefix:
            return Prefix(0, ())

    monkeypatch.setattr(passes, "Prefix", Whole)
    monkeypatch.setattr(passes.hooks, "at_end", lambda name: (name, lambda *_, **__: None))
    whole = run(bridge, prompts, method, 2)
    assert found.abs().max() > 1e-2
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["EAP", "EAP-IG", "EAP-IG-activations", "node"])
def test_scores_do_not_depend_on_the_batch_nor_on_the_parts_that_are_contracted(
    gpt2: TransformerBridge, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    prompts = random_prompts(5, length=6)
    whole = prompt_scores(gpt2, prompts, method, ig_steps=2)
    assert whole.abs().max() > 1e-2
    for batch in (1, 2):
        parts = prompt_scores(gpt2, prompts, method, ig_steps=2, batch=batch)
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr("timelapse.circuits.attribution.contraction._NUMBERS", 2 * 7 * 6 * 16)
    parts = prompt_scores(gpt2, prompts, method, ig_steps=2)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)


def test_a_batch_is_run_in_equal_parts_that_fit_the_memory(
    gpt2: TransformerBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = random_prompts(10, length=6)
    shape = graph_shape(gpt2)
    monkeypatch.setattr(
        "timelapse.circuits.attribution.batching._NUMBERS", 4 * 6 * 2 * (44 * 16 + 4 * 64)
    )
    sizes = [
        len(found.rows)
        for found in score_batches("EAP", gpt2, shape, [prompts], "swap", MethodSettings())
    ]
    assert sizes == [4, 4, 2]


def test_passes_leave_nothing_in_the_model(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(2, length=6)
    before = gpt2(prompts.tokens)
    for method in ("EAP-IG", "EAP-IG-activations", "clean-corrupted", "node"):
        run(gpt2, prompts, method, 2)
    assert not any(parameter.requires_grad for parameter in gpt2.parameters())
    assert not gpt2.list_hooks()
    torch.testing.assert_close(gpt2(prompts.tokens), before, rtol=0, atol=0)


def test_a_pass_that_is_cut_down_keeps_no_graph(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(2, length=6)
    name = "blocks.0.hook_mlp_out"
    found = passes.Passes.of(gpt2, prompts, "swap", LOGIT_DIFF).differentiable(
        "blocks.0.hook_resid_pre", tapped=[name]
    )
    assert found[name].requires_grad
    assert isinstance(found.only([name]), Pass)
    assert not found.only([name])[name].requires_grad
