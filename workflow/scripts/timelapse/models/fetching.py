"""Models from elsewhere: a local folder or the hub, saved as safetensors with their tokenizer."""

from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from timelapse.errors import UserError
from timelapse.models.checkpoints import save_checkpoint


def fetch(source: str, target: Path, hub: bool) -> None:
    """Load a causal language model with its tokenizer and save it in `target`.

    Args:
        source: a folder's path or a name on the hub.
        target: the folder to write.
        hub: whether `source` may be downloaded.

    Raises:
        UserError: it cannot be loaded, has no safetensors, or only a slow tokenizer.
    """
    if not hub and not Path(source).is_dir():
        raise UserError(source, "", "there is no such folder", "Correct `folder:` in the config")
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=not hub)
        model = AutoModelForCausalLM.from_pretrained(
            source, local_files_only=not hub, use_safetensors=True, dtype="float32"
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            source,
            "",
            f"it does not load as a causal language model ({str(error).splitlines()[0]})",
            "Give a model with config.json, model.safetensors and tokenizer.json"
            + (", and a connection to the hub" if hub else ""),
        ) from error
    if not tokenizer.is_fast:
        raise UserError(source, "", "its tokenizer is a slow one", "Use one with tokenizer.json")
    save_checkpoint(model, tokenizer, target)
