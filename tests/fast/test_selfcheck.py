"""A fast path that computes wrong values on this machine is found before it is used, named once, and left out."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from senet import SESpec, accelerate, create_model
from senet.errors import BackendError
from senet.fast.convolution import replace as convolution
from senet.fast.convolution import winograd
from senet.fast.inference import ends
from senet.fast.kernels import backends, compiled, native, selfcheck
from senet.fast.kernels.compiled import compiler
from senet.fast.kernels.passes import REFERENCE, Passes
from senet.fast.kernels.selfcheck import passes_fault

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler")


@pytest.fixture(autouse=True)
def forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of its own, and nothing known from before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    known = (native.native, ends.library, winograd.library, convolution.is_available, backends.is_usable)
    for each in known:
        each.cache_clear()
    yield
    for each in known:
        each.cache_clear()


def off_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Get the last value of every result wrong."""

    def wrong(*words: Any) -> Any:
        result = function(*words)
        for part in result if isinstance(result, tuple) else (result,):
            if isinstance(part, Tensor):
                part.view(-1)[-1:] += 1 if part.is_contiguous() else 0
                if not part.is_contiguous():
                    part[..., -1] += 1
        return result

    return wrong


def test_the_plain_passes_agree_with_themselves() -> None:
    assert passes_fault(REFERENCE, CPU) == ""


@pytest.mark.parametrize("name", [field.name for field in fields(Passes)])
def test_one_wrong_value_in_any_pass_is_found_and_named(name: str) -> None:
    fault = passes_fault(replace(REFERENCE, **{name: off_by_one(getattr(REFERENCE, name))}), CPU)
    assert fault.startswith(f"{name} of ")
    assert "differs by 1" in fault


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("apply", lambda u, r, a, b, e, post, relu: REFERENCE.apply(u, r, a, b, e, post, False)),
        ("moments", lambda u: (REFERENCE.moments(u)[0], REFERENCE.moments(u)[1] * 1.01)),
        ("mask", lambda *words: REFERENCE.mask(*words)[:2]),
        ("finish", lambda *words: REFERENCE.finish(*words).mul(float("nan"))),
        ("rectified_sum", lambda *words: REFERENCE.rectified_sum(*words).double()),
    ],
)
def test_other_mistakes_are_found(name: str, wrong: Callable[..., Any]) -> None:
    assert passes_fault(replace(REFERENCE, **{name: wrong}), CPU).startswith(f"{name} of ")


def test_the_outcome_is_remembered_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []

    def verdict(*words: str) -> str:
        return selfcheck.verdict("path", words, lambda: (runs.append(1), "case 3 differs")[1])

    assert [verdict("source", "device") for _ in range(3)] == ["case 3 differs"] * 3
    assert len(runs) == 1
    verdict("other source", "device")
    verdict("source", "other device")
    monkeypatch.setattr(torch, "__version__", "2.99")
    verdict("source", "device")
    assert len(runs) == 4


def test_the_check_changes_no_random_numbers_and_runs_in_any_mode() -> None:
    state = torch.get_rng_state()
    with torch.inference_mode(), torch.autocast("cpu"), torch.device("meta"):
        assert selfcheck.verdict("path", (), lambda: passes_fault(REFERENCE, CPU)) == ""
    assert torch.equal(torch.get_rng_state(), state)


def network() -> nn.Module:
    return create_model("resnet8", se=SESpec(reduction=4)).to(memory_format=torch.channels_last)


def images() -> Tensor:
    return torch.randn(16, 3, 32, 32).contiguous(memory_format=torch.channels_last)


@needs_compiler
def test_wrong_passes_are_left_out_with_one_warning_and_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    good = network()
    accelerate(good, backend="reference")
    for module in good.modules():  # as if it had been pickled where C++ is right
        if hasattr(module, "fused_backend"):
            module.fused_backend = "native"  # type: ignore[assignment]
    wrong = replace(REFERENCE, apply=off_by_one(REFERENCE.apply))
    monkeypatch.setitem(backends.BACKENDS, "native", lambda: wrong)
    start = "backend = 'native' computes wrong values on cpu: apply of 2x5x3x7, float32, contiguous"
    with pytest.warns(UserWarning, match=rf"^{start} [^\n]*; using plain torch\.$") as seen:
        logits = sum(good(images()) for _ in range(3))
    assert len(seen) == 1
    logits.sum().backward()  # type: ignore[union-attr]
    assert logits.isfinite().all()
    with pytest.warns(UserWarning, match="the network is not accelerated: backend = 'native' computes wrong values"):
        assert accelerate(network()).backend == ""
    with pytest.raises(BackendError, match=r"wrong values on cpu: apply of .*; choose the backend 'reference'"):
        accelerate(network(), backend="native")


@needs_compiler
@pytest.mark.parametrize("error", [RuntimeError("no kernel image\nfor sm_70"), MemoryError(), OSError("gone")])
def test_a_backend_that_fails_is_named_in_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setitem(backends.BACKENDS, "native", lambda: replace(REFERENCE, moments=fail))
    with pytest.warns(UserWarning, match=r"^the network is not accelerated: backend = 'native' fails on cpu \([^\n]*$"):
        assert accelerate(network()).backend == ""


def mutated(module: Any, before: str, after: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a module compile its source with a planted mistake."""
    text = module.SOURCE.read_text()
    assert text.count(before) == 1, (before, text.count(before))
    shutil.copy(compiled.HEADER, folder)
    (folder / module.SOURCE.name).write_text(text.replace(before, after))
    monkeypatch.setattr(module, "SOURCE", folder / module.SOURCE.name)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if (relu) x = positive_part(x);", ""),
        ("total * count / (count - 1)", "total"),
        ("b = -slope * k * weight / count;", "b = slope * k * weight / count;"),
    ],
)
def test_a_mistake_in_the_passes_in_cpp_is_found(
    before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutated(native, before, after, tmp_path, monkeypatch)
    monkeypatch.setattr(backends, "SOURCE", native.SOURCE)
    assert "computes wrong values on cpu" in backends.obstacle("native", CPU)


@needs_compiler
@pytest.mark.slow
def test_a_mistake_in_the_convolutions_is_found_and_torch_convolves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutated(
        winograd, "value = value < 0 ? Lanes{} : value;", "value = value < 1 ? Lanes{} : value;", tmp_path, monkeypatch
    )
    monkeypatch.setattr(convolution, "SOURCE", winograd.SOURCE)
    with pytest.warns(UserWarning, match=r"^the 3x3 convolutions in C\+\+ are wrong on this machine: the result"):
        assert accelerate(network()).convolutions == ()


@needs_compiler
@pytest.mark.slow
def test_a_mistake_in_the_ends_is_found_and_left_to_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = "switch (4 * bool(s) + 2 * bool(r) + relu) {"
    mutated(ends, before, before.replace("+ relu", "+ 0"), tmp_path, monkeypatch)
    with pytest.warns(UserWarning, match=r"^the ends of units in C\+\+ are wrong on this machine: 2x5x3x7"):
        assert ends.library() is None


INTERPRETED = """
import torch
from senet.fast.kernels import selfcheck; from senet.fast.kernels import triton_passes
from senet.fast.kernels.selfcheck import passes_fault

selfcheck.SHAPES = selfcheck.SHAPES[:1]  # the interpreter is slow

assert passes_fault(triton_passes.TRITON, torch.device("cpu")) == ""
kernel = triton_passes.finish_kernel

class Mistaken:
    def __getitem__(self, grid):
        return lambda *words, **flags: kernel[grid](*words, **{**flags, "MASKED": False})

triton_passes.finish_kernel = Mistaken()
print(passes_fault(triton_passes.TRITON, torch.device("cpu")))
"""


@pytest.mark.slow
def test_a_mistake_in_a_kernel_of_triton_is_found() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    env = {**os.environ, "TRITON_INTERPRET": "1"}
    words = [sys.executable, "-W", "ignore", "-c", INTERPRETED]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("finish of 2x5x3x7, float32, contiguous differs by")
