"""Blocks that `insert` attached to the norms of any network run in the passes of these norms, and compute the same."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from senet import SESpec, SqueezeExcite, accelerate, create_model, decelerate, insert, optimize, remove
from senet.fast.kernels import backends
from senet.fast.kernels.compiled import compiler
from senet.fast.training.norms import FusedNorm
from senet.speed.traffic import saved_bytes

needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler")
FORMATS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}


class Unit(nn.Module):
    """A bottleneck as users write it: a grouped and strided convolution, functional activations."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=4, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 2 * width, 1, bias=False), nn.BatchNorm2d(2 * width)
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != 2 * width:
            project = nn.Conv2d(inputs, 2 * width, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(project, nn.BatchNorm2d(2 * width))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.units = nn.Sequential(Unit(16, 8, 1), Unit(16, 8, 1), Unit(16, 16, 2))
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.units(self.stem(x)).mean((2, 3)))
        return y


def of_timm(name: str = "resnet18", **options: Any) -> nn.Module:
    model: nn.Module = pytest.importorskip("timm").create_model(name, num_classes=5, **options)
    return model


def of_torchvision() -> nn.Module:
    model: nn.Module = pytest.importorskip("torchvision").models.resnet18(num_classes=5)
    return model


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "by hand": Net,
    "of senet": lambda: create_model("resnet8", num_classes=5),
    "timm's resnet18": of_timm,
    "timm's RegNetX": lambda: of_timm("regnetx_002"),
    "torchvision's resnet18": of_torchvision,
}
EACH = [pytest.param(name, marks=pytest.mark.slow if "'s" in name else ()) for name in NETWORKS]


def inserted(name: str = "by hand", **options: Any) -> nn.Module:
    """Return a network with blocks that are not the identity any more, and statistics of some training."""
    model = NETWORKS[name]()
    insert(model, SESpec(reduction=4, **options), shape=(1, 3, 32, 32))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.3)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, SqueezeExcite):
            for parameter in module.parameters():
                nn.init.normal_(parameter, 0, 0.3)
    return model


def outcome(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Run a step: logits, gradients of input and parameters, buffers."""
    x = x.clone().requires_grad_()
    y = model(x)
    model.zero_grad()
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    grads = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    assert x.grad is not None
    return [y, x.grad, *[grad for grad in grads if grad is not None], *model.buffers()]


def assert_equal(ours: list[Tensor], theirs: list[Tensor], *, tolerance: float) -> None:
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine.dtype == wanted.dtype
        scale = wanted.abs().max().clamp_min(1e-30)
        assert ((mine - wanted).abs().max() / scale).item() < tolerance


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fuse small maps too."""
    monkeypatch.setattr(backends, "SMALL", 0)
    monkeypatch.setattr(backends, "SMALL_GATED", 0)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", EACH)
def test_values_gradients_and_statistics_are_those_of_the_inserted_network(name: str, train: bool) -> None:
    ordinary = inserted(name).double().train(train)
    fused = copy.deepcopy(ordinary)
    done = accelerate(fused, backend="reference")
    assert len(done.blocks) == sum(isinstance(module, SqueezeExcite) for module in ordinary.modules())
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    assert_equal(outcome(fused, x), outcome(ordinary, x), tolerance=1e-9)


@needs_compiler
@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize(
    "name", [each for each in EACH if "RegNetX" not in str(each)]
)  # 52 layers of random norms: chaos
def test_the_native_backend_agrees_in_float32(name: str, memory_format: str) -> None:
    ordinary = inserted(name).to(memory_format=FORMATS[memory_format])  # type: ignore[call-overload]
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="native")
    x = torch.randn(4, 3, 32, 32).contiguous(memory_format=FORMATS[memory_format])
    mine, theirs = outcome(fused, x), outcome(ordinary, x)
    assert_equal(mine[:1], theirs[:1], tolerance=1e-4)
    assert apart(mine[1:], theirs[1:]) < 0.01  # a ReLU at its edge may open in one and not the other


def apart(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Return the distance of two lists of tensors, relative to the length of the second."""
    mine, wanted = (torch.cat([part.detach().double().flatten() for part in parts]) for parts in (ours, theirs))
    return float(torch.linalg.norm(mine - wanted) / torch.linalg.norm(wanted))


@needs_compiler
@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("how", ["autocast", "weights"])
def test_in_bfloat16_types_are_the_same_and_values_as_near_to_float32(how: str) -> None:
    ordinary = inserted().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(8, 3, 16, 16)
    exact = gradients(copy.deepcopy(ordinary), x)
    if how == "weights":
        ordinary, x = ordinary.bfloat16(), x.bfloat16()
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="native")
    with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
        mine, theirs = gradients(fused, x), gradients(ordinary, x)
    assert [part.dtype for part in mine] == [part.dtype for part in theirs]
    assert mine[0].dtype == torch.bfloat16
    assert apart(mine, exact) < 1.5 * apart(theirs, exact) < 0.5


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    y: Tensor = model(x)
    y.float().square().sum().backward()
    return [y, *[parameter.grad for parameter in model.parameters() if parameter.grad is not None]]


@needs_compiler
@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("name", ["by hand", pytest.param("timm's resnet50", marks=pytest.mark.slow)])
def test_saved_bytes_are_those_of_the_plain_network(name: str) -> None:
    model = (of_timm("resnet50") if name == "timm's resnet50" else Net()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(2, 3, 128, 128).contiguous(memory_format=torch.channels_last)
    plain = saved_bytes(model, x)
    insert(model, SESpec(reduction=16), shape=(1, 3, 64, 64))
    assert saved_bytes(model, x) > 1.15 * plain
    accelerate(model)
    assert saved_bytes(model, x) < 1.03 * plain


def test_a_frozen_host_gives_the_gradients_of_its_blocks() -> None:
    ordinary = inserted().double()
    for module in ordinary.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for name, parameter in ordinary.named_parameters():
        parameter.requires_grad_(".se." in name)
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="reference")
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    assert_equal(outcome(fused, x), outcome(ordinary, x), tolerance=1e-10)


def test_second_derivatives_are_refused_not_wrong() -> None:
    fused = inserted().double()
    accelerate(fused, backend="reference")
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    (dx,) = torch.autograd.grad(fused(x).pow(2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()


@pytest.mark.parametrize("place", ["", ".se", ".se.fc1"])
@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward"])
def test_hooks_of_users_see_what_they_see_without(kind: str, place: str) -> None:
    ordinary = inserted().double()
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="reference")
    seen: dict[nn.Module, list[Tensor]] = {ordinary: [], fused: []}
    for model, values in seen.items():
        watched = model.get_submodule(f"units.0.bn3{place}")

        def keep(*words: Any, values: list[Tensor] = values) -> None:
            values += [part for word in words for part in (word if isinstance(word, tuple) else (word,))][1:]

        getattr(watched, f"register_{kind}_hook")(keep)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    assert_equal(outcome(fused, x), outcome(ordinary, x), tolerance=1e-10)
    assert seen[fused]
    assert_equal([y.flatten() for y in seen[fused]], [y.flatten() for y in seen[ordinary]], tolerance=1e-10)


def test_remove_and_decelerate_give_the_network_of_before() -> None:
    model = inserted().eval()
    x = torch.randn(2, 3, 16, 16)
    text, keys = repr(model), list(model.state_dict())
    with_blocks = model(x)
    accelerate(model, backend="reference")
    assert list(model.state_dict()) == keys
    decelerate(model)
    assert repr(model) == text
    assert torch.equal(model(x), with_blocks)
    accelerate(model, backend="reference")
    bare = copy.deepcopy(model)
    remove(bare)
    decelerate(model)
    remove(model)
    torch.testing.assert_close(bare(x), model(x))
    assert list(bare.state_dict()) == list(model.state_dict()) == [key for key in keys if ".se." not in key]
    accelerate(bare, backend="reference")
    assert not any(isinstance(module, FusedNorm) for module in bare.modules())


@pytest.mark.parametrize("name", ["by hand", pytest.param("timm's RegNetX", marks=pytest.mark.slow)])
def test_copies_and_pickles_stay_accelerated(name: str) -> None:
    model = inserted(name).double().eval()
    accelerate(model, backend="reference")
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))
        assert [type(part) for part in twin.modules()] == [type(part) for part in model.modules()]


def test_optimize_and_tracers_take_an_accelerated_network() -> None:
    model = inserted()
    accelerate(model, backend="reference")
    x = torch.randn(2, 3, 16, 16)
    twin, traced = copy.deepcopy(model), fx.symbolic_trace(copy.deepcopy(model))
    for train in (True, False):  # the norms are leaves, so the mode is not part of the graph
        torch.testing.assert_close(traced.train(train)(x), twin.train(train)(x))
    model.eval()
    torch.testing.assert_close(optimize(model, shape=(1, 3, 16, 16))(x), model(x), rtol=1e-3, atol=1e-4)
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), model(x), rtol=1e-3, atol=1e-4)


def test_what_is_left_is_named_with_its_reason() -> None:
    model = inserted()
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    synchronised(torch.randn(2, 3, 16, 16))  # hangs the blocks on the new norms
    why = "a block is attached to it, and only BatchNorm2d is fused with its block, not SyncBatchNorm"
    left = dict(accelerate(synchronised, backend="reference").left)
    assert left["units.0.bn3"] == left["units.0.bn3.se"] == why

    model.get_submodule("units.0.bn3").register_forward_hook(lambda *_: None)
    done = accelerate(model, backend="reference")
    assert dict(done.left)["units.0.bn3.se"] == "it has hooks besides that of its block"
    assert done.blocks == ("units.1.bn3.se", "units.2.bn3.se")
    assert str(done).startswith("norms fused: 8; blocks fused: 2; ")

    left = dict(accelerate(inserted(squeeze="max"), backend="reference").left)
    assert left["units.0.bn3"] == "the block attached to it needs the whole map"
    assert left["units.0.bn3.se"] == "the squeeze is 'max', which is not a function of mean and variance"

    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sigmoid())
    insert(plain, SESpec(reduction=2), at="0", shape=(1, 3, 8, 8))
    left = dict(accelerate(plain, backend="reference").left)
    assert left["0.se"] == "it is attached to a Conv2d; only a batch norm computes its squeeze"


COMPILE = """
import copy, sys, torch
from torch import nn
from senet import SESpec, accelerate, insert
from senet.fast.kernels import backends

class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = (make for _ in range(2) for make in (
            nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)))
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.bn2(self.conv2(self.act(self.bn1(self.conv1(x))))) + x)

backends.SMALL, backends.SMALL_GATED, (_, backend, how) = 0, 0, sys.argv
ordinary = nn.Sequential(nn.Conv2d(3, 16, 1), Unit(), Unit(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
insert(ordinary, SESpec(reduction=4, gate="tanh"), shape=(1, 3, 16, 16))
for module in ordinary.modules():
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0, 0.1)
fused = copy.deepcopy(ordinary)
assert len(accelerate(fused, backend=backend).blocks) == 2
x, outcomes = torch.randn(4, 3, 16, 16), []
for model in (ordinary, torch.compile(fused, fullgraph=True, backend=how)):
    y = x.clone().requires_grad_()
    logits = model(y)
    logits.pow(2).sum().backward()
    outcomes.append([logits, y.grad, *[parameter.grad for parameter in model.parameters()], *model.buffers()])
for one, other in zip(*outcomes, strict=True):
    assert (one - other).abs().max() <= 1e-4 * one.abs().max().clamp_min(1e-9), (one, other)
"""


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "how"), [("reference", "aot_eager"), ("native", "aot_eager"), ("native", "inductor")]
)
def test_a_network_compiles_in_one_graph_around_the_operations(backend: str, how: str) -> None:
    words = [sys.executable, "-W", "ignore", "-c", COMPILE, backend, how]  # a process without the type checker
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
