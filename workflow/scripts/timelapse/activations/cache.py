"""The content-addressed cache of activations: tensors by key and name, for all probes and runs."""

import errno
import hashlib
import logging
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig

from timelapse.activations.cache_directory import GB, CacheDirectory
from timelapse.activations.cache_files import (
    DamagedCacheFile,
    read_tensors,
    serialized,
    tensor_names,
)
from timelapse.activations.source import ActivationSpec
from timelapse.models import hooks
from timelapse.models.prompts import Prompts

_log = logging.getLogger(__name__)


class ActivationCache:
    """Tensors under a key. What is there stays as it is; what is missing is added beside it.

    A key stands for everything that the tensors were computed from, see `keys.block_key`. Its
    tensors may lie in several files, each with what one writer found missing.
    """

    def __init__(self, directory: CacheDirectory) -> None:
        self.directory = directory

    def get(self, key: str, names: Collection[str]) -> dict[str, Float[Tensor, "*shape"]]:
        """Read tensors, each verified; damaged files are removed.

        Returns:
            Those of the named tensors that are there, on the CPU.
        """
        found: dict[str, Tensor] = {}
        for file in self.directory.find(key):
            missing = set(names) - found.keys()
            if not missing:
                break
            try:
                new = _read(file, missing)
            except DamagedCacheFile as damage:
                _log.warning("%s; it is removed and made again", damage)
                self.directory.remove(file)
                continue
            except OSError:
                continue
            if new:
                self.directory.touch(file)
            found |= new
        return found

    def names(self, key: str) -> set[str]:
        """The names of the tensors that are there, without reading or verifying them."""
        found: set[str] = set()
        for file in self.directory.find(key):
            try:
                found |= tensor_names(file)
            except DamagedCacheFile:
                self.directory.remove(file)
            except OSError:
                continue
        return found

    def put(self, key: str, tensors: Mapping[str, Float[Tensor, "*shape"]]) -> None:
        """Add tensors that lie on the CPU.

        Raises:
            UserError: the disk is full or the directory cannot be written.
        """
        name = hashlib.blake2b("\0".join(sorted(tensors)).encode(), digest_size=8).hexdigest()
        if self.directory.cap:
            self.directory.add(key, name, serialized(tensors))


def _read(file: Path, names: Collection[str]) -> dict[str, Float[Tensor, "*shape"]]:
    """Read a file, once more if another node has meanwhile put its equal in its place.

    Raises:
        DamagedCacheFile: it is not what was written.
        OSError: it cannot be read.
    """
    try:
        return read_tensors(file, names)
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return read_tensors(file, names)


def bytes_needed(
    needs: Iterable[ActivationSpec],
    config: TransformerBridgeConfig,
    prompts: Sequence[Prompts],
    dtype: torch.dtype,
) -> int:
    """Bytes that some activations of some prompts take."""
    numbers = sum(
        len(bucket) * numbers_per_prompt(need, config, bucket.tokens.shape[1])
        for need in needs
        for bucket in prompts
    )
    return numbers * dtype.itemsize


def numbers_per_prompt(need: ActivationSpec, config: TransformerBridgeConfig, length: int) -> int:
    """How many numbers an activation has for one prompt of `length` tokens.

    Raises:
        ValueError: the hook's size is not known.
    """
    positions = length if need.where == "all" else 1
    return positions * _width(need.hook, config, length)


def _width(hook: str, config: TransformerBridgeConfig, length: int) -> int:
    """Numbers at one position, of all heads together."""
    heads, kv_heads = config.n_heads, config.n_key_value_heads or config.n_heads
    if hook == hooks.LOGITS:
        return config.d_vocab
    match hook.rpartition(".")[2]:
        case "hook_scale":
            return 1
        case "hook_q" | "hook_z" | "hook_rot_q":
            return heads * config.d_head
        case "hook_k" | "hook_v" | "hook_rot_k":
            return kv_heads * config.d_head
        case "hook_pattern" | "hook_attn_scores":
            return heads * length
        case "hook_pre" | "hook_post":
            return config.d_mlp
        case (
            "hook_resid_pre"
            | "hook_resid_mid"
            | "hook_resid_post"
            | "hook_attn_out"
            | "hook_mlp_out"
            | "hook_normalized"
            | "hook_in"
        ):
            return config.d_model
    raise ValueError(f"the size of {hook} is not known: add it to activations/cache.py")


def report(directory: CacheDirectory) -> str:
    """What a cache directory holds, how often it served, and how to clear it; one line each."""
    held = directory.contents()
    requests = held.hits + held.misses
    share = f" ({held.hits / requests:.0%})" if requests else ""
    lines = {
        "folder": str(directory.folder),
        "files": f"{held.files:,}",
        "bytes": f"{held.bytes:,} ({held.bytes / GB:.3g} GB)",
        "cap": f"{directory.cap:,} ({directory.cap / GB:.3g} GB)",
        "free on disk": f"{directory.free():,} ({directory.free() / GB:.3g} GB)",
        "hits": f"{held.hits:,}{share}",
        "misses": f"{held.misses:,}",
        "to clear": f"rm -r {shlex.quote(str(directory.folder))}",
    }
    return "".join(f"{name:14}{value}\n" for name, value in lines.items())
