"""The content of a cache file: safetensors with a checksum of every tensor, verified when read.

A reader takes the tensors that it wants and leaves the others on the disk. Files are read, not
mapped into memory: another node may remove one meanwhile.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_METADATA, _CHECKSUMS = "__metadata__", "checksums"


class DamagedCacheFile(Exception):
    """A file is not what was written."""


def serialized(tensors: Mapping[str, Float[Tensor, "*shape"]]) -> bytes:
    """The content of a file with some tensors, which must lie on the CPU and share no memory."""
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    checksums = {
        name: _checksum(name, _CODES[tensor.dtype], list(tensor.shape), _bytes(tensor))
        for name, tensor in tensors.items()
    }
    return safetensors.torch.save(tensors, metadata={_CHECKSUMS: json.dumps(checksums)})


def tensor_names(path: Path) -> set[str]:
    """The names of a file's tensors, read from its header alone.

    Raises:
        DamagedCacheFile: the header cannot be read.
        OSError: the file cannot be read, because it has been removed, say.
    """
    with path.open("rb") as file:
        return set(_header(file)) - {_METADATA}


def read_tensors(path: Path, names: Collection[str]) -> dict[str, Float[Tensor, "*shape"]]:
    """Those of the named tensors that a file has, on the CPU.

    Raises:
        DamagedCacheFile: one of them is not what was written.
        OSError: the file cannot be read, because it has been removed, say.
    """
    with path.open("rb") as file:
        header, start = _header(file), file.tell()
        try:
            checksums = json.loads(header[_METADATA][_CHECKSUMS])
            return {
                name: _tensor(file, start, name, header[name], checksums[name])
                for name in sorted(set(names) & header.keys() - {_METADATA})
            }
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DamagedCacheFile(f"{path} is damaged") from error


def _header(file: BinaryIO) -> dict[str, Any]:
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    try:
        header = json.loads(file.read(length)) if length <= size else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise DamagedCacheFile(f"{file.name} is damaged")
    return header


def _tensor(
    file: BinaryIO, start: int, name: str, info: dict[str, Any], checksum: str
) -> Float[Tensor, "*shape"]:
    code, shape, (begin, end) = info["dtype"], info["shape"], info["data_offsets"]
    if not 0 <= begin < end <= file.seek(0, 2) - start:
        raise ValueError("the data lies outside the file")
    file.seek(start + begin)
    data = bytearray(file.read(end - begin))
    if _checksum(name, code, shape, data) != checksum:
        raise ValueError("the checksum is another")
    return torch.frombuffer(data, dtype=_DTYPES[code]).reshape(shape)


def _checksum(name: str, code: str, shape: list[Any], data: bytearray | memoryview) -> str:
    digest = hashlib.blake2b(json.dumps([name, code, shape]).encode(), digest_size=16)
    digest.update(data)
    return digest.hexdigest()


def _bytes(tensor: Float[Tensor, "*shape"]) -> memoryview:
    return tensor.detach().flatten().view(torch.uint8).numpy().data
