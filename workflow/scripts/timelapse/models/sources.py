"""Models from elsewhere: a local folder or the hub, saved as safetensors with their tokenizer."""

from pathlib import Path

from timelapse.errors import UserError
from timelapse.models.checkpoints import save_checkpoint
from timelapse.models.loading import load_model, load_tokenizer


def fetch(source: str, target: Path, hub: bool) -> None:
    """Load a causal language model with its tokenizer and save it in `target`.

    Args:
        source: a folder's path or a name on the hub.
        target: the folder to write.
        hub: whether `source` may be downloaded.

    Raises:
        UserError: it cannot be loaded, lacks weights, or has only a slow tokenizer.
    """
    if not hub and not Path(source).is_dir():
        raise UserError(source, "", "there is no such folder", "Correct `folder:` in the config")
    save_checkpoint(load_model(source, "cpu", hub=hub), load_tokenizer(source, hub), target)
