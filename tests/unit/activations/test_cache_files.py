"""Cache files: what was written comes back, or it is called damaged; never anything else."""

import os
import re
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from timelapse.activations.cache_files import (
    DamagedCacheFile,
    read_tensors,
    serialized,
    tensor_names,
)

TENSORS = {
    "blocks.0.attn.hook_z@all": torch.linspace(-3, 3, 8).reshape(2, 2, 2),
    "logits@end": torch.linspace(1, 9, 4).reshape(2, 1, 2),
}


def equal(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return all(
        found[name].dtype == wanted[name].dtype and torch.equal(found[name], wanted[name])
        for name in found
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_come_back_bit_by_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    written = {name: tensor.to(dtype) for name, tensor in TENSORS.items()}
    file = tmp_path / "file"
    file.write_bytes(serialized(written))
    found = read_tensors(file, written)
    assert found.keys() == written.keys() == tensor_names(file)
    assert equal(found, written)


def test_a_cache_file_is_one_that_safetensors_reads(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(serialized(TENSORS))
    assert equal(load_file(file), TENSORS)


def test_only_the_named_tensors_are_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(serialized(TENSORS))
    assert read_tensors(file, ["logits@end", "absent@all"]).keys() == {"logits@end"}


def test_a_tensor_that_is_a_view_is_written_as_it_looks(tmp_path: Path) -> None:
    file = tmp_path / "file"
    view = torch.arange(12.0).reshape(3, 4).T[1:]
    file.write_bytes(serialized({"view@all": view}))
    assert torch.equal(read_tensors(file, ["view@all"])["view@all"], view)


def test_no_flipped_bit_passes_for_an_activation(tmp_path: Path) -> None:
    content, path = serialized(TENSORS), tmp_path / "file"
    path.write_bytes(content)
    caught = 0
    with path.open("r+b", buffering=0) as file:
        for place, bit in product(range(len(content)), range(8)):
            os.pwrite(file.fileno(), bytes([content[place] ^ 1 << bit]), place)
            try:
                assert equal(read_tensors(path, TENSORS), TENSORS), (place, bit)
            except DamagedCacheFile:
                caught += 1
            os.pwrite(file.fileno(), content[place : place + 1], place)
    assert caught > 8 * sum(tensor.nbytes for tensor in TENSORS.values())


def test_a_truncated_file_is_damaged_whatever_its_length(tmp_path: Path) -> None:
    content, file = serialized(TENSORS), tmp_path / "file"
    for length in range(len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(DamagedCacheFile, match=re.escape(str(file))):
            read_tensors(file, TENSORS)
