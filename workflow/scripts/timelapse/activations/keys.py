"""Keys of cached activations: digests of everything they are computed from, and of no path."""

import json
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from timelapse.models.checksums import WEIGHTS, digest, verify
from timelapse.provenance import SCRIPTS, fingerprint, library_files

_LIBRARIES = ("torch", "transformers", "transformer-lens")
_CODE = (
    SCRIPTS / "timelapse" / "activations" / "source.py",
    SCRIPTS / "timelapse" / "models" / "loading.py",
)
_NO_PART_OF_THE_MODEL = {
    "_name_or_path",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "transformers_version",
    "use_cache",
}


def checkpoint_digest(folder: Path) -> str:
    """A digest of a model folder's weights and architecture.

    The model that a run starts from and the run's step 0 have the same.

    Raises:
        UserError: a file is damaged.
    """
    verify(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for key in _NO_PART_OF_THE_MODEL:
        config.pop(key, None)
    weights = [digest(file) for file in sorted(folder.glob(f"*{WEIGHTS}"))]
    return fingerprint([], [config, weights])


def block_key(
    checkpoint: str,
    tokens: Int[Tensor, "batch position"],
    computed: torch.dtype,
    kept: torch.dtype,
    device: str,
) -> str:
    """The key of the activations of some prompts.

    Args:
        checkpoint: the model's `checkpoint_digest`.
        tokens: the prompts.
        computed: dtype of the model.
        kept: dtype of the stored activations.
        device: how it rounds, see `models.device.rounding`.
    """
    values = [checkpoint, tokens.tolist(), str(computed), str(kept), device, _code()]
    return fingerprint([], values)


@cache
def _code() -> list[str]:
    """The code that makes activations: this library's, and the versions of what it calls."""
    files = {file for root in _CODE for file in (root, *map(Path, library_files(root)))}
    own = fingerprint(sorted(file.resolve() for file in files), None)
    return [own, *(f"{library} {version(library)}" for library in _LIBRARIES)]
