"""The content-addressed store of activations: tensors by key and name, shared by all who look."""

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

from timelapse.activations.cache_directory import GB, Shelf
from timelapse.activations.cache_files import Damaged, names_in, packed, unpacked
from timelapse.activations.source import Need
from timelapse.models import hooks
from timelapse.models.prompts import Prompts

_log = logging.getLogger(__name__)


class Store:
    """Tensors under a key. What is there stays as it is; what is missing is added beside it.

    A key stands for everything that the tensors were computed from, see `keys.block_key`. Its
    tensors may lie in several entries, each with what one writer found missing.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def get(self, key: str, names: Collection[str]) -> dict[str, Float[Tensor, "*shape"]]:
        """Those of the named tensors that are there, verified; entries that are bad are dropped."""
        found: dict[str, Tensor] = {}
        for entry in self.shelf.find(key):
            missing = set(names) - found.keys()
            if not missing:
                break
            try:
                new = _read(entry, missing)
            except Damaged as damage:
                _log.warning("%s; the entry is dropped and made again", damage)
                self.shelf.drop(entry)
                continue
            except OSError:
                continue
            if new:
                self.shelf.touch(entry)
            found |= new
        return found

    def names(self, key: str) -> set[str]:
        """The names of the tensors that are there; whether they are sound is not looked at."""
        found: set[str] = set()
        for entry in self.shelf.find(key):
            try:
                found |= names_in(entry)
            except Damaged:
                self.shelf.drop(entry)
            except OSError:
                continue
        return found

    def put(self, key: str, tensors: Mapping[str, Float[Tensor, "*shape"]]) -> None:
        """Add tensors that lie on the CPU.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        name = hashlib.blake2b("\0".join(sorted(tensors)).encode(), digest_size=8).hexdigest()
        if self.shelf.cap:
            self.shelf.add(key, name, packed(tensors))


def _read(entry: Path, names: Collection[str]) -> dict[str, Float[Tensor, "*shape"]]:
    """Read an entry, once more if another node has meanwhile put its equal in its place.

    Raises:
        Damaged: it is not what was written.
        OSError: it cannot be read.
    """
    try:
        return unpacked(entry, names)
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
        return unpacked(entry, names)


def bytes_needed(
    needs: Iterable[Need],
    config: TransformerBridgeConfig,
    prompts: Sequence[Prompts],
    dtype: torch.dtype,
) -> int:
    """Bytes of the needed activations of some prompts and all their corrupted forms."""
    numbers = 0
    for need in needs:
        for bucket in prompts:
            sides = 1 if need.side == "clean" else len(bucket.corrupted)
            numbers += sides * len(bucket) * prompt_numbers(need, config, bucket.tokens.shape[1])
    return numbers * dtype.itemsize


def prompt_numbers(need: Need, config: TransformerBridgeConfig, length: int) -> int:
    """Numbers in an activation of one prompt of `length` tokens."""
    positions = length if need.where == "all" else 1
    return positions * _width(need.hook, config, length)


def _width(hook: str, config: TransformerBridgeConfig, length: int) -> int:
    """Numbers at one position, of all heads together.

    Raises:
        ValueError: the hook is not known here.
    """
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


def report(shelf: Shelf) -> str:
    """What a shelf holds, how often it served, and how to clear it."""
    held = shelf.contents()
    asked = held.hits + held.misses
    share = f" ({held.hits / asked:.0%})" if asked else ""
    lines = {
        "folder": str(shelf.folder),
        "entries": f"{held.entries:,}",
        "bytes": f"{held.bytes:,} ({held.bytes / GB:.3g} GB)",
        "cap": f"{shelf.cap:,} ({shelf.cap / GB:.3g} GB)",
        "free on disk": f"{shelf.free():,} ({shelf.free() / GB:.3g} GB)",
        "hits": f"{held.hits:,}{share}",
        "misses": f"{held.misses:,}",
        "to clear": f"rm -r {shlex.quote(str(shelf.folder))}",
    }
    return "".join(f"{name:14}{value}\n" for name, value in lines.items())
