"""Models from elsewhere: a local folder or the hub, saved as safetensors with their tokenizer."""

from pathlib import Path

from timelapse.errors import UserError
from timelapse.models.checkpoints import save_checkpoint
from timelapse.models.loading import load_model, load_tokenizer


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
