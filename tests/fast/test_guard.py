"""A kernel that fails on a GPU: plain passes take over if memory runs out, otherwise the error is one line."""

import importlib
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from senet.errors import BackendError
from senet.fast.kernels import backends
from senet.fast.kernels.guard import FullDeviceError, guarded
from senet.fast.kernels.passes import REFERENCE

accelerating = importlib.import_module("senet.fast.training.accelerate")  # the package has a function of this name


class OutOfResources(Exception):  # noqa: N818  (Triton's name)
    """As Triton's, which is not an error of torch."""


def failing(error: Exception) -> Any:
    def fail(*_: Any) -> Any:
        raise error

    return fail


FULL = [torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), OutOfResources("out of resource: shared memory")]


@pytest.mark.parametrize("error", FULL, ids=["memory", "shared memory"])
@pytest.mark.parametrize("name", ["moments", "mask"])
def test_the_plain_pass_runs_where_a_kernel_gets_no_memory(name: str, error: Exception) -> None:
    passes = guarded(replace(REFERENCE, **{name: failing(error)}), REFERENCE)
    u = torch.randn(2, 3, 4, 4)
    words = (u,) if name == "moments" else (u, None, u, None)
    with pytest.warns(
        UserWarning, match=rf"^the fused pass '{name}' ran out of memory \([^\n]*\); using plain torch\.$"
    ):
        found = getattr(passes, name)(*words)
    for one, other in zip(found, getattr(REFERENCE, name)(*words), strict=True):
        assert torch.equal(one, other)


def test_a_full_device_is_one_line_and_still_torchs_error() -> None:
    broken = replace(REFERENCE, moments=failing(FULL[0]))
    with pytest.warns(UserWarning, match="out of memory"), pytest.raises(torch.OutOfMemoryError) as caught:
        guarded(broken, broken).moments(torch.ones(1, 1, 1, 1))
    assert isinstance(caught.value, FullDeviceError | BackendError)
    assert "lower the batch size" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pass_that_writes_running_statistics_is_not_run_twice() -> None:
    plain = replace(REFERENCE, combine=failing(AssertionError("ran twice")))
    with pytest.raises(FullDeviceError, match="out of memory"):
        guarded(replace(REFERENCE, combine=failing(FULL[0])), plain).combine()


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: unspecified launch failure\nhints",
        "Triton Error [CUDA]: an illegal memory access",
        "CUDA error: 719",
    ],
)
def test_a_lost_device_is_one_line(text: str) -> None:
    passes = guarded(replace(REFERENCE, apply=failing(RuntimeError(text))), REFERENCE)
    with pytest.raises(BackendError, match=r"^the GPU failed in a fused pass \([^\n]*resume [^\n]*$") as caught:
        passes.apply()
    assert not isinstance(caught.value, torch.OutOfMemoryError)


@pytest.mark.parametrize("error", [ValueError("a bug"), RuntimeError("sizes do not fit"), KeyError("x")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        guarded(replace(REFERENCE, apply=failing(error)), REFERENCE).apply()
    assert caught.value is error


@pytest.mark.usefixtures("unchecked")
def test_without_triton_a_gpu_trains_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda", 0)
    monkeypatch.setitem(sys.modules, "senet.fast.kernels.triton_passes", None)  # as if `import triton` failed
    for cached in (backends.triton, backends.is_usable):
        cached.cache_clear()  # type: ignore[attr-defined]
    try:
        with pytest.warns(UserWarning, match=r"needs Triton .*pip install triton\.; using plain torch") as seen:
            found = [backends.live(SimpleNamespace(device=device)) for _ in range(3)]  # type: ignore[arg-type]
        assert found == [REFERENCE] * 3
        assert len(seen) == 1
        monkeypatch.setattr(accelerating, "device_of", lambda model: device)
        with pytest.warns(UserWarning, match=r"the network is not accelerated: .* needs Triton"):
            assert accelerating.accelerate(nn.Sequential(nn.Conv2d(3, 4, 1))).backend == ""
        with pytest.raises(BackendError, match=r"needs Triton"):
            accelerating.accelerate(nn.Sequential(nn.Conv2d(3, 4, 1)), backend="triton")
    finally:
        for cached in (backends.triton, backends.is_usable):
            cached.cache_clear()  # type: ignore[attr-defined]
