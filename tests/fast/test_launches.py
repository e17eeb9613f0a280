"""What a training step of a fused unit asks of a GPU, counted without one: launches, and no word back to the host."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from senet import SESpec, SqueezeExcite
from senet.fast.kernels import operators
from senet.fast.training.excitation import excite_of
from senet.fast.training.identity_slot import gated_shortcut, scale_add
from senet.fast.training.rectified import norm_relu
from senet.fast.training.tail import fused_tail

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import floors

HOST = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "lift_fresh", "scalar_tensor", "_unique2")
VIEWS = "view unsafe_view reshape_alias expand detach t transpose permute alias select unbind slice squeeze unsqueeze"
FREE = {*VIEWS.split(), "empty", "empty_like", "empty_strided", "promote_types"}


class Watch(TorchDispatchMode):
    """Counts operators that launch a kernel on a GPU, and names those that wait for it or copy to it."""

    def __init__(self) -> None:
        super().__init__()
        self.launches, self.host = 0, []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").partition(".")[0]
        moved = name == "_to_copy" and (kwargs or {}).get("device") is not None
        if name in HOST or moved:
            self.host.append(name)
        self.launches += name.removeprefix("_").removeprefix("new_").partition(".")[0] not in FREE
        return func(*args, **(kwargs or {}))


def norm(**options: Any) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(16, **options)


def step(run: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype = torch.float32) -> Watch:
    u, r = (torch.randn(2, 16, 6, 6, dtype=dtype).requires_grad_() for _ in range(2))
    dy = torch.ones_like(u)
    with Watch() as watch:
        run(u, r).backward(dy)
    return watch


Unit = Callable[[Tensor, Tensor], Tensor]


def unit(name: str, backend: str) -> Unit:
    """Build a unit with all its parameters, so that only its step is watched."""
    excite = excite_of(SqueezeExcite(16, SESpec(reduction=4)))
    assert excite is not None
    one, running, batch = norm(), norm().eval(), norm(track_running_stats=False)
    units: dict[str, Unit] = {
        "tail": lambda u, r: fused_tail(u, r, norm=one, excite=excite, backend=backend),
        "plain tail": lambda u, r: fused_tail(u, r, norm=one, excite=None, backend=backend),
        "inner": lambda u, r: norm_relu(u, norm=one, excite=excite, backend=backend),
        "norm and ReLU": lambda u, r: norm_relu(u, norm=one, excite=None, backend=backend),
        "identity": lambda u, r: gated_shortcut(u, r, norm=one, excite=excite, backend=backend),
        "pre-activation": lambda u, r: scale_add(u, r, excite=excite, backend=backend),
        "running statistics": lambda u, r: norm_relu(u, norm=running, excite=excite, backend=backend),
        "statistics of the batch alone": lambda u, r: fused_tail(u, r, norm=batch, excite=None, backend=backend),
    }
    return units[name]


NAMES = (
    "tail",
    "plain tail",
    "inner",
    "norm and ReLU",
    "identity",
    "pre-activation",
    "running statistics",
    "statistics of the batch alone",
)


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that would run, in their order; they do nothing."""
    triton_passes = pytest.importorskip("senet.fast.kernels.triton_passes", reason="Triton is not installed")
    seen: list[str] = []

    class Stub:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getitem__(self, grid: Any) -> Callable[..., None]:
            return lambda *words, **flags: seen.append(self.name)

    for name in [name for name in vars(triton_passes) if name.endswith("_kernel")]:
        monkeypatch.setattr(triton_passes, name, Stub(name))
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_no_step_waits_for_the_device_or_copies_to_it(name: str, dtype: torch.dtype, kernels: list[str]) -> None:
    assert step(unit(name, "triton"), dtype).host == []
    assert kernels


@pytest.mark.parametrize(
    "wait",
    [
        lambda u, r: u * float(u.detach().sum()),
        lambda u, r: u * r.detach().max().item(),
        lambda u, r: u if bool(u.sum() > 0) else r,
        lambda u, r: u * torch.tensor([2.0]),
        lambda u, r: u * len(r.detach().to("meta")),
        lambda u, r: u * u.new_tensor([3.0]),
    ],
)
def test_the_watch_notices_what_waits_or_copies(wait: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert step(wait).host


def test_the_launches_of_a_tail_are_those_of_the_documented_floor(kernels: list[str]) -> None:
    watch = step(unit("tail", "triton"))
    names = ["moment_sums_kernel", "moments_kernel", "apply_kernel", "mask_kernel", "finish_kernel"]
    assert kernels == names
    assert len(names) + watch.launches == floors.LAUNCHES


def test_the_table_of_floors_in_the_docs_is_that_of_the_script() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "speed.md").read_text()
    assert floors.table() in docs


def test_every_operator_has_a_rule_for_maps_on_a_gpu() -> None:
    """What `torch.compile` asks while it traces: no GPU is needed."""
    with FakeTensorMode():
        u = torch.empty(2, 8, 4, 4, device="cuda", dtype=torch.bfloat16).to(memory_format=torch.channels_last)
        row, matrix = torch.empty(8, device="cuda"), torch.empty(2, 8, device="cuda")
        for result in (
            operators.apply(u, u, matrix, matrix, None, None, True),
            operators.finish(u, u, matrix, row, matrix, None, None, None),
            operators.mask(u, u, u, None)[0],
        ):
            assert result.shape == u.shape
            assert result.stride() == u.stride()
            assert result.device.type == "cuda"
            assert result.dtype == u.dtype
        for sums in (
            *operators.moments(u),
            operators.rectified_sum(u, u, row, row),
            *operators.masked_sums(u, u, row, row, True),
            *operators.mask(u, None, u, None)[1:],
        ):
            assert sums.shape == (2, 8)
            assert sums.dtype == torch.float32
