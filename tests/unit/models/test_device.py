"""What follows from the device: dtype, TF32 and batch size; a GPU is played by a stand-in."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_models import WORDS, gpt2_config, random_model

from timelapse.models.checkpoints import save_checkpoint
from timelapse.models.device import Device, parameters, rounding
from timelapse.models.embedded import word_tokenizer

AUTO = {"dtype": "auto", "tf32": "auto"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    model = random_model(gpt2_config(vocab_size=len(word_tokenizer(WORDS))))
    save_checkpoint(model, word_tokenizer(WORDS), folder)
    return folder


@pytest.fixture(autouse=True)
def numerics() -> None:
    """Leave the process as it was."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def gpu(monkeypatch: pytest.MonkeyPatch, memory: int, bfloat16: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    properties = SimpleNamespace(total_memory=memory)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Stand-in")


def test_the_cpu_runs_float32_in_batches_of_a_hundred(folder: Path) -> None:
    device = Device.for_measuring(AUTO, folder)
    assert (device.name, device.dtype, device.tf32) == ("cpu", torch.float32, False)
    assert device.batch("auto") == 100
    assert device.batch(7) == 7


def test_a_gpu_takes_larger_batches_by_its_memory(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    gpu(monkeypatch, 80 * 2**30)
    device = Device.for_measuring(AUTO, folder)
    assert (device.name, device.dtype) == ("cuda", torch.float32)
    assert device.batch("auto") == 1000
    assert device.batch(7) == 7
    assert device.described() == "on Stand-in, float32"


def test_parts_are_measured_without_tf32_and_models_trained_with_it(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    gpu(monkeypatch, 80 * 2**30)
    assert not Device.for_measuring(AUTO, folder).tf32
    assert torch.get_float32_matmul_precision() == "highest"
    assert Device.for_training("auto").tf32
    assert torch.get_float32_matmul_precision() == "high"
    for said in (True, False):
        assert Device.for_measuring({**AUTO, "tf32": said}, folder).tf32 is said
        assert Device.for_training(said).tf32 is said


def test_weights_that_would_fill_the_gpu_are_halved(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    size = 4 * parameters(folder)
    gpu(monkeypatch, 4 * size)
    assert Device.for_measuring(AUTO, folder).dtype is torch.float32
    gpu(monkeypatch, 4 * size - 1)
    assert Device.for_measuring(AUTO, folder).dtype is torch.bfloat16
    assert Device.for_measuring({**AUTO, "dtype": "float32"}, folder).dtype is torch.float32
    gpu(monkeypatch, 4 * size - 1, bfloat16=False)
    assert Device.for_measuring(AUTO, folder).dtype is torch.float16


def test_kinds_of_gpus_and_tf32_round_differently(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    assert rounding("cpu") == "cpu"
    gpu(monkeypatch, 80 * 2**30)
    found = set()
    for name in ("One", "Another"):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _, name=name: name)
        for tf32 in (True, False):
            Device.for_measuring({**AUTO, "tf32": tf32}, folder)
            found.add(rounding("cuda"))
    assert len(found) == 4


def test_a_models_size_is_that_of_its_weights(folder: Path) -> None:
    model = random_model(gpt2_config(vocab_size=len(word_tokenizer(WORDS))))
    assert parameters(folder) == sum(weight.numel() for weight in model.parameters())


def test_a_damaged_file_is_left_to_loading(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nothing of the kind")
    assert parameters(tmp_path) == 0
