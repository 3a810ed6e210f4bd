"""Loading of model folders: the one place that knows how transformers and TransformerLens do it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from timelapse.errors import UserError

logging.set_verbosity_error()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder.

    Raises:
        UserError: there is none, or it gives no character offsets (a slow tokenizer).
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if not tokenizer.is_fast:
        raise UserError(
            folder, "", "its tokenizer is a slow one", "Use a model with tokenizer.json"
        )
    return tokenizer


def load_model(folder: Path, device: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The causal language model of a Hugging Face folder, in evaluation mode.

    Raises:
        UserError: the folder is no whole model folder with safetensors.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=dtype
        )
    except (OSError, ValueError) as error:
        raise UserError(
            folder,
            "",
            f"it does not load as a causal language model ({str(error).splitlines()[0]})",
            "Give a Hugging Face folder with config.json and model.safetensors",
        ) from error
    return model.to(device).eval()


def each_model(
    folders: Sequence[Path], device: str, dtype: torch.dtype = torch.float32
) -> Iterator[PreTrainedModel]:
    """The models of several checkpoints of one run, one after the other in one module.

    The module is built once and the weights are copied in: a model yielded before is overwritten.
    """
    model = load_model(folders[0], device, dtype)
    yield model
    for folder in folders[1:]:
        _copy_weights(dict(model.named_parameters()), folder)
        yield model


def each_bridge(
    folders: Sequence[Path], device: str, dtype: torch.dtype = torch.float32
) -> Iterator[TransformerBridge]:
    """As `each_model`, wrapped once in TransformerLens' bridge: raw weights, no gradients."""
    model = load_model(folders[0], device, dtype)
    parameters = dict(model.named_parameters())
    bridge = TransformerBridge.boot_transformers(
        str(folders[0]), hf_model=model, tokenizer=load_tokenizer(folders[0]), device=device
    )
    bridge.requires_grad_(False)
    yield bridge
    for folder in folders[1:]:
        _copy_weights(parameters, folder)
        yield bridge


def _copy_weights(parameters: dict[str, torch.nn.Parameter], folder: Path) -> None:
    with torch.no_grad():
        for file in sorted(folder.glob("*.safetensors")):
            for name, value in load_file(file).items():
                parameters[name].copy_(value)
