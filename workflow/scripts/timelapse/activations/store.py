"""The content-addressed store of activations: tensors by key and name, shared by all who look."""

import errno
import hashlib
import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from timelapse.activations.entry import Damaged, names_in, packed, unpacked
from timelapse.activations.shelf import Shelf

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
