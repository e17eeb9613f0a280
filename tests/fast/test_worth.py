"""Which convolutions are left to torch: measured once for a machine, the same for every process and resumed run."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from senet import SESpec, accelerate, create_model
from senet.fast.convolution import replace as convolution
from senet.fast.convolution import worth
from senet.fast.kernels.compiled import compiler
from senet.fast.kernels.native import native
from senet.files import cache

pytestmark = pytest.mark.skipif(
    compiler() is None or not convolution.is_available() or not native(), reason="convolutions in C++ are missing here"
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another processor, where nothing was measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(worth, "processor_name", lambda: "Intel(R) Xeon(R)")
    worth.left_to_torch.cache_clear()
    yield
    worth.left_to_torch.cache_clear()


def measure(monkeypatch: pytest.MonkeyPatch, *answers: set[worth.Class]) -> list[int]:
    seen: list[int] = []
    monkeypatch.setattr(worth, "measured", lambda: (seen.append(1), answers[len(seen) - 1])[1])
    return seen


def again() -> frozenset[worth.Class]:
    """Ask as another process would."""
    worth.left_to_torch.cache_clear()
    return worth.left_to_torch()


def test_the_choice_is_made_once_and_never_flips(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = measure(monkeypatch, {(3, False)}, {(0, True)})
    assert [again() for _ in range(3)] == [{(3, False)}] * 3
    assert len(seen) == 1


def test_of_two_processes_that_measure_at_once_the_first_decides_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"worth-{worth.identity(worth.SOURCE)}-{torch.__version__}"

    def overtaken() -> set[worth.Class]:
        cache.remember(name, [[2, False]])
        return {(0, False)}

    monkeypatch.setattr(worth, "measured", overtaken)
    assert again() == {(2, False)}


def test_without_a_cache_and_on_the_processor_of_the_limits_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = measure(monkeypatch, {(3, False)})
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert again() == frozenset()
    monkeypatch.undo()
    monkeypatch.setattr(worth, "processor_name", lambda: "AMD EPYC 9654 96-Core Processor")
    assert again() == frozenset()
    assert not seen


def test_a_damaged_choice_is_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, {(3, False)}, {(1, False)})
    again()
    place = cache.folder()
    assert place is not None
    next(place.glob("worth-*.json")).write_text("{")
    assert again() == {(1, False)}


@pytest.mark.parametrize(
    ("channels", "place"), [(16, 0), (24, 0), (25, 1), (96, 1), (97, 2), (384, 2), (385, 3), (2048, 3)]
)
def test_a_layer_belongs_to_the_class_of_its_channels(channels: int, place: int) -> None:
    assert worth.class_of(channels, constant=False) == (place, False)


@pytest.mark.parametrize("channels", [16, 64])
def test_what_is_left_to_torch_has_its_bits(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, {(worth.class_of(channels, constant=False))})
    x = torch.randn(16, channels, 16, 16).contiguous(memory_format=torch.channels_last)
    ordinary = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1)).to(memory_format=torch.channels_last)
    expected = ordinary(x)
    other = {16: 64, 64: 16}[channels]
    for width, equal in ((channels, True), (other, False)):
        model, images = ordinary, x
        if width != channels:
            model = nn.Sequential(nn.Conv2d(other, other, 3, padding=1)).to(memory_format=torch.channels_last)
            images = torch.randn(16, other, 16, 16).contiguous(memory_format=torch.channels_last)
            expected = model(images)
        accelerate(model, backend="native")
        assert torch.equal(model(images), expected) == equal


def test_a_run_names_what_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, {(3, False), (0, False), (1, True)})
    assert worth.described() == ", 3x3 convolutions of 16 to 24 and more than 384 channels left"
    measure(monkeypatch, set())
    place = cache.folder()
    assert place is not None
    next(place.glob("worth-*.json")).unlink()
    worth.left_to_torch.cache_clear()
    assert worth.described() == ""


def test_the_measurement_takes_seconds_and_finds_a_layer_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worth, "LAYERS", worth.LAYERS[:2])
    monkeypatch.setattr(worth, "ROUNDS", 2)
    really = worth.convolved

    def slow(x: Tensor, u: Tensor, *, channels: int, bias: Tensor | None, padding: int) -> Tensor:
        if channels == 64:
            time.sleep(0.2)
        return really(x, u, channels=channels, bias=bias, padding=padding)

    monkeypatch.setattr(worth, "convolved", slow)
    assert {(1, False), (1, True)} <= worth.measured()


def test_a_training_settles_the_choice_before_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = measure(monkeypatch, set())
    convolution.is_available.cache_clear()
    accelerate(create_model("resnet8", se=SESpec(reduction=4)), backend="native")
    assert len(seen) == 1
