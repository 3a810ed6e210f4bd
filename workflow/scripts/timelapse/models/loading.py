"""Loading of models: the one place that knows how transformers and TransformerLens do it.

TransformerLens is imported when a bridge is asked for: two seconds that other jobs need not spend.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.activations import NewGELUActivation
from transformers.utils import logging

from timelapse.errors import UserError
from timelapse.models.checkpoints import WEIGHTS, save_checkpoint, verify

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

logging.set_verbosity_error()
logging.disable_progress_bar()

_UNLOADABLE = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError),
    *(SafetensorError, StrictDataclassError),
)
"""What transformers raises at folders that it cannot make sense of."""
_WHOLE = "Give a Hugging Face folder with config.json, whole safetensors and tokenizer.json"
_FETCHED = "Check the name and the network, or download the model and give it as `folder:`"


def load_tokenizer(folder: str | Path, hub: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder, or of a name on the hub.

    Args:
        folder: a Hugging Face folder, or a name on the hub.
        hub: whether it may be downloaded.

    Raises:
        UserError: there is none, or none without code of its own; or it is damaged, or gives no
            character offsets (a slow tokenizer).
    """
    verify(Path(folder), lambda name: not name.endswith(WEIGHTS))
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=not hub, trust_remote_code=False
        )
    except _UNLOADABLE as error:
        raise _refusal(folder, "its tokenizer does not load", error, hub) from error
    if not tokenizer.is_fast:
        raise UserError(
            folder, "", "its tokenizer is a slow one", "Use a model with tokenizer.json"
        )
    return tokenizer


def load_model(
    folder: str | Path, device: str, dtype: torch.dtype = torch.float32, hub: bool = False
) -> PreTrainedModel:
    """The causal language model of a Hugging Face folder or of a name on the hub.

    Args:
        folder: a Hugging Face folder with safetensors, or a name on the hub.
        device: where it is to run, such as "cpu" or "cuda".
        dtype: of its weights.
        hub: whether it may be downloaded.

    Returns:
        the model in evaluation mode.

    Raises:
        UserError: the folder is incomplete or damaged, or needs code of its own.
    """
    verify(Path(folder))
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=not hub,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
        )
    except _UNLOADABLE as error:
        raise _refusal(folder, "it does not load as a causal language model", error, hub) from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        problem = f"{len(missing)} weights are missing, {missing[0]} among them"
        raise UserError(folder, "model.safetensors", problem, _WHOLE)
    return model.to(device).eval()


def _refusal(folder: str | Path, problem: str, error: Exception, hub: bool) -> UserError:
    reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
    return UserError(folder, "", f"{problem} ({reason})", _FETCHED if hub else _WHOLE)


def fetch_folder(folder: str, target: Path) -> None:
    """Copy a local Hugging Face folder: its causal language model and its tokenizer, no more.

    Args:
        folder: its path.
        target: the folder to write.

    Raises:
        UserError: it is not there or does not load, lacks weights, or has only a slow tokenizer.
    """
    if not Path(folder).is_dir():
        raise UserError(folder, "", "there is no such folder", "Correct `folder:` in the config")
    save_checkpoint(load_model(folder, "cpu"), load_tokenizer(folder), target)


def fetch_hub(name: str, target: Path) -> None:
    """Download a causal language model with its tokenizer from the Hugging Face hub.

    Args:
        name: its name there.
        target: the folder to write.

    Raises:
        UserError: it cannot be downloaded or does not load, lacks weights, or has only a slow
            tokenizer.
    """
    model, tokenizer = load_model(name, "cpu", hub=True), load_tokenizer(name, hub=True)
    save_checkpoint(model, tokenizer, target)


def each_model(
    folders: Sequence[Path], device: str, dtype: torch.dtype = torch.float32
) -> Iterator[PreTrainedModel]:
    """The models of several checkpoints of one run, one after the other in one module.

    The module is built once and the weights are copied in: a model yielded before is overwritten.

    Args:
        folders: the checkpoints, at least one.
        device: where they are to run.
        dtype: of their weights.

    Yields:
        the same module for every folder, in evaluation mode.

    Raises:
        UserError: see `load_model`.
    """
    model = load_model(folders[0], device, dtype)
    yield model
    for folder in folders[1:]:
        _copy_weights(dict(model.named_parameters()), load_model(folder, device, dtype))
        yield model


def each_bridge(
    folders: Sequence[Path], device: str, dtype: torch.dtype = torch.float32
) -> Iterator["TransformerBridge"]:
    """As `each_model`, wrapped once in TransformerLens' bridge: raw weights, no gradients.

    Args:
        folders: the checkpoints, at least one.
        device: where they are to run.
        dtype: of their weights.

    Yields:
        the same bridge for every folder, its parameters without gradients.

    Raises:
        UserError: see `load_model`.
    """
    from transformer_lens.model_bridge import TransformerBridge

    model = load_model(folders[0], device, dtype)
    parameters = dict(model.named_parameters())
    bridge = TransformerBridge.boot_transformers(
        str(folders[0]),
        hf_model=model,
        tokenizer=load_tokenizer(folders[0]),
        device=device,
        dtype=dtype,
    )
    bridge.requires_grad_(False)
    yield bridge
    for folder in folders[1:]:
        _copy_weights(parameters, load_model(folder, device, dtype))
        _update_split_qkv(bridge)
        yield bridge


def _copy_weights(parameters: dict[str, torch.nn.Parameter], other: PreTrainedModel) -> None:
    with torch.no_grad():
        for name, value in other.named_parameters():
            parameters[name].copy_(value)


def _update_split_qkv(bridge: "TransformerBridge") -> None:
    """Copy a joint weight into the q, k and v that a bridge has cut out of it before."""
    for block in bridge.blocks:
        attention = block.attn
        if not hasattr(attention, "split_qkv_matrix"):
            continue
        parts = attention.split_qkv_matrix(attention.original_component)
        with torch.no_grad():
            for name, part in zip("qkv", parts, strict=True):
                target = getattr(attention, name).original_component
                for key, value in part.named_parameters():
                    dict(target.named_parameters())[key].copy_(value)


@contextmanager
def fused_activations(bridge: "TransformerBridge") -> Iterator[None]:
    """While it lasts, the tanh form of GELU is one step in every MLP of the model.

    Activation functions that transformers spells out in many steps read and write all of an MLP's
    hidden numbers in each: for GPT-2 that takes as long as a quarter of the MLP's matrix products.
    One step is the same function to rounding.

    Args:
        bridge: the model, changed in place and restored afterwards.
    """
    modules = [
        module
        for block in bridge.blocks
        for module in block.mlp.modules()
        if type(module) is NewGELUActivation
    ]
    for module in modules:
        module.forward = partial(functional.gelu, approximate="tanh")
    try:
        yield
    finally:
        for module in modules:
            del module.forward
