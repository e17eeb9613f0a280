"""Winograd convolutions equal torch's up to rounding, and bitwise for calls that they do not support."""

import copy
import importlib
import io
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from senet import SESpec, accelerate, create_model, decelerate, optimize
from senet.experiments.recipe import Recipe
from senet.fast.convolution import replace as convolution
from senet.fast.convolution.replace import PackedConv2d, TiledConv2d, is_available
from senet.fast.convolution.winograd import LAST, convolved, tiles, transformed, turned, weight_gradient
from senet.training.learner import Learner

pytestmark = pytest.mark.skipif(not is_available(), reason="there is no C++ compiler, or no registers of 16 values")

SHAPES = [  # images, channels, outputs, height, width
    (1, 1, 1, 3, 3),
    (1, 3, 5, 7, 9),
    (2, 17, 33, 5, 6),
    (3, 16, 16, 4, 4),
    (1, 64, 80, 12, 8),
    (2, 5, 48, 13, 3),
    (9, 32, 32, 8, 8),  # more tiles than a block holds
]
EXACT = 3e-6  # of the largest value, in float32


@pytest.fixture
def _small_maps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "WORTH", 0)
    monkeypatch.setattr(convolution, "FULL", 0)
    monkeypatch.setattr(convolution, "MANY", 0)


small = pytest.mark.usefixtures("_small_maps_too")


def maps(*shape: int) -> Tensor:
    return torch.randn(shape).contiguous(memory_format=LAST)


def off(y: Tensor, exact: Tensor) -> float:
    return ((y.double() - exact).abs().max() / exact.abs().max()).item()


def layer(channels: int = 16, outputs: int = 16, **options: int) -> nn.Conv2d:
    return nn.Conv2d(channels, outputs, 3, **{"padding": 1, **options}).to(memory_format=LAST)


def outcome(model: nn.Module, x: Tensor) -> list[Tensor]:
    given = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = model(given)
    gradients = torch.autograd.grad(y.pow(2).sum(), [given, *model.parameters()])
    return [y.detach(), *gradients]


# ---- the functions


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients_are_those_of_the_convolution(shape: tuple[int, ...], padding: int) -> None:
    n, c, k, h, w = shape
    x, weight, bias = maps(n, c, h, w), torch.randn(k, c, 3, 3), torch.randn(k)
    leaves = [each.double().requires_grad_() for each in (x, weight, bias)]
    y = F.conv2d(*leaves, padding=padding)
    dy = torch.randn(y.shape).contiguous(memory_format=LAST)
    dx, dweight, dbias = torch.autograd.grad(y, leaves, dy.double())
    mine = convolved(x, transformed(weight), channels=k, bias=bias, padding=padding)
    assert off(mine, y.detach()) < EXACT
    assert torch.equal(
        convolved(x, transformed(weight), channels=k, bias=bias, padding=padding, relu=True), mine.relu()
    )
    if padding < 2:
        back = convolved(dy, turned(weight), channels=c, bias=None, padding=2 - padding)
        assert off(back, dx) < EXACT
        for mine, exact in zip(weight_gradient(x, dy, like=weight, padding=padding), (dweight, dbias), strict=True):
            assert off(mine, exact) < EXACT


def test_weights_of_any_memory_format_give_the_same_bits() -> None:
    x, dy, weight = maps(1, 20, 8, 8), maps(1, 24, 8, 8), torch.randn(24, 20, 3, 3)
    other = weight.contiguous(memory_format=LAST)
    for change, map_, k in ((transformed, x, 24), (turned, dy, 20)):
        values = [convolved(map_, change(each), channels=k, bias=None, padding=1) for each in (weight, other)]
        assert torch.equal(*values)
    for one, two in zip(
        weight_gradient(x, dy, like=weight, padding=1), weight_gradient(x, dy, like=other, padding=1), strict=True
    ):
        assert torch.equal(one, two)
        assert one.stride() == (weight.stride() if one.ndim == 4 else (1,))


def test_the_error_is_a_few_times_that_of_torch() -> None:
    x, weight, bias = maps(4, 64, 16, 16).relu(), torch.randn(64, 64, 3, 3) * (2 / 576) ** 0.5, torch.randn(64)
    exact = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    mine = (convolved(x, transformed(weight), channels=64, bias=bias, padding=1) - exact).square().mean().sqrt()
    theirs = (F.conv2d(x, weight, bias, padding=1) - exact).square().mean().sqrt()
    assert mine < 4 * theirs
    assert mine / exact.square().mean().sqrt() < 1e-6


def test_the_bits_of_an_image_do_not_depend_on_its_batch_nor_on_threads() -> None:
    x, weight = maps(40, 32, 9, 9), torch.randn(24, 32, 3, 3)
    u = transformed(weight)
    together = convolved(x, u, channels=24, bias=None, padding=1)
    alone = convolved(x[7:8].contiguous(memory_format=LAST), u, channels=24, bias=None, padding=1)
    assert torch.equal(together[7:8], alone)
    dy = maps(40, 24, 9, 9)
    gradients = weight_gradient(x, dy, like=weight, padding=1)
    torch.set_num_threads(2)
    try:
        assert torch.equal(convolved(x, u, channels=24, bias=None, padding=1), together)
        first, second = (weight_gradient(x, dy, like=weight, padding=1) for _ in range(2))
    finally:
        torch.set_num_threads(1)
    for one, again, single in zip(first, second, gradients, strict=True):
        assert torch.equal(one, again)
        torch.testing.assert_close(one, single, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_hidden(value: float) -> None:
    x, weight = maps(1, 16, 8, 8), torch.randn(16, 16, 3, 3)
    x[0, 3, 2, 5] = value
    y = convolved(x, transformed(weight), channels=16, bias=None, padding=1, relu=True)
    spoilt = ~F.conv2d(x, weight, padding=1).isfinite()
    assert not y[spoilt].isfinite().any() or value > 0  # a ReLU turns -inf into 0
    assert y.isnan().any() or y.isinf().any()


def test_tiles_are_counted() -> None:
    assert tiles(torch.Size((2, 1, 7, 9)), 1) == (12, 126)
    assert tiles(torch.Size((1, 1, 6, 6)), 0) == (1, 16)


# ---- training


@small
def test_an_accelerated_network_trains_as_before() -> None:
    ordinary = create_model("cnn3", image_size=12).to(memory_format=LAST).eval()
    fused = copy.deepcopy(ordinary)
    done = accelerate(fused, backend="native")
    assert done.convolutions == ("stage1.conv2", "stage1.conv3")
    x = maps(4, 3, 12, 12)
    for mine, theirs in zip(outcome(fused, x), outcome(ordinary, x), strict=True):
        assert off(mine, theirs.double()) < 1e-5
        assert mine.stride() == theirs.stride()
    assert fused.state_dict().keys() == ordinary.state_dict().keys()
    again = copy.deepcopy(fused)
    assert type(again.get_submodule("stage1.conv2")) is TiledConv2d
    assert torch.equal(again(x), fused(x))
    decelerate(fused)
    assert type(fused.get_submodule("stage1.conv2")) is nn.Conv2d
    assert torch.equal(fused(x), ordinary(x))


@small
@pytest.mark.parametrize("frozen", ["weight", "bias", "both", "map"])
def test_only_wanted_gradients_are_computed_and_they_are_right(frozen: str) -> None:
    one, x = layer(), maps(2, 16, 8, 8).requires_grad_(frozen != "map")
    one.weight.requires_grad_(frozen in ("bias", "map"))
    one.bias.requires_grad_(frozen in ("weight", "map"))  # type: ignore[union-attr]
    other = copy.deepcopy(one)
    accelerate(one, backend="native")
    assert type(one) is TiledConv2d
    found = []
    for each in (one, other):
        given = x.detach().clone(memory_format=torch.preserve_format).requires_grad_(x.requires_grad)
        each(given).pow(2).sum().backward()
        found.append([given.grad, each.weight.grad, each.bias.grad])  # type: ignore[union-attr]
    for mine, theirs in zip(*found, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert off(mine, theirs.double()) < 1e-5


@small
def test_second_derivatives_are_torchs() -> None:
    one, x = layer(), maps(1, 16, 6, 6).requires_grad_()
    other = copy.deepcopy(one)
    accelerate(one, backend="native")
    penalties = []
    for each in (one, other):
        (slope,) = torch.autograd.grad(each(x).pow(2).sum(), x, create_graph=True)
        penalties.append(torch.autograd.grad(slope.pow(2).sum(), each.weight)[0])
    assert off(penalties[0], penalties[1].double()) < 1e-4


@small
def test_checkpointing_gives_the_same_bits() -> None:
    model, x = nn.Sequential(layer(), nn.ReLU(), layer()), maps(2, 16, 8, 8)
    accelerate(model, backend="native")
    plain = outcome(model, x)
    wrapped = nn.Module()
    wrapped.inner = model
    wrapped.forward = lambda x: checkpoint(model, x, use_reentrant=False)  # type: ignore[method-assign]
    assert all(map(torch.equal, outcome(wrapped, x), plain))


@small
def test_two_trainings_and_a_resumed_one_have_the_same_bits() -> None:
    def learner() -> Learner:
        torch.manual_seed(0)
        return Learner(create_model("cnn3", image_size=8), Recipe(batch_size=8))

    def step(one: Learner, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(8, 3, 8, 8, generator=generator)
        one.step(x, torch.arange(8), lr=0.1, total=8, seed=seed)

    first, second, resumed = learner(), learner(), learner()
    assert first.fused == "native"
    for one in (first, second):
        for seed in range(3):
            step(one, seed)
    step(resumed, 0)
    kept = copy.deepcopy(dict(resumed.model.state_dict())), copy.deepcopy(resumed.state())
    resumed = learner()
    resumed.restore(*kept)
    for seed in (1, 2):
        step(resumed, seed)
    for other in (second, resumed):
        states = first.model.state_dict().values(), other.model.state_dict().values()
        assert all(map(torch.equal, *states))


def below(model: nn.Module, x: Tensor) -> Tensor:
    return model(x[:, :, :8, :8].contiguous(memory_format=LAST))


def autocast(model: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return model(x)


def watched(model: nn.Module, x: Tensor) -> Tensor:
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        return model(x)
    finally:
        handle.remove()


FALL_BACKS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "contiguous": lambda model, x: model(x.contiguous()),
    "bfloat16": lambda model, x: model.bfloat16()(x.bfloat16()),
    "float64": lambda model, x: model.double()(x.double()),
    "autocast": autocast,
    "a small map": below,
    "a hook on all modules": watched,
    "a map without batch": lambda model, x: model(x[0]),
    "a transform": lambda model, x: torch.func.vmap(model)(x[None])[0],
    "torch.jit": lambda model, x: torch.jit.trace(model, x)(x),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(FALL_BACKS))
def test_what_does_not_fit_runs_as_torch_runs_it(name: str) -> None:
    call, x = FALL_BACKS[name], maps(2, 32, 32, 32)
    ordinary = layer(32, 32).requires_grad_(False)
    for change in (lambda model: accelerate(model, backend="native"), packed):
        model = copy.deepcopy(ordinary)
        change(model)
        assert not torch.equal(model(x), ordinary(x))  # it would run here
        assert torch.equal(call(model, x), call(copy.deepcopy(ordinary), x))


def packed(model: nn.Module) -> None:
    model.__class__ = PackedConv2d


@pytest.mark.parametrize(
    "other",
    [
        nn.Conv2d(16, 16, 3, stride=2),
        nn.Conv2d(16, 16, 3, dilation=2),
        nn.Conv2d(16, 16, 3, groups=2),
        nn.Conv2d(16, 16, 3, padding=2),
        nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(16, 16, (3, 1)),
        nn.Conv2d(3, 16, 3),
    ],
    ids=str,
)
def test_other_convolutions_are_left_alone(other: nn.Conv2d) -> None:
    accelerate(other, backend="native")
    assert type(other) is nn.Conv2d


def stride(model: nn.Module) -> None:
    model.stride = (2, 2)  # type: ignore[assignment]


def pad(model: nn.Module) -> None:
    model.padding = (2, 2)  # type: ignore[assignment]


def prune(model: nn.Module) -> None:
    model.weight = nn.Parameter(model.weight[:20], requires_grad=False)  # type: ignore[index]
    model.bias = None  # type: ignore[assignment]


@pytest.mark.parametrize("change", [stride, pad, prune])
def test_what_is_changed_later_counts(change: Callable[[nn.Module], None]) -> None:
    ordinary, x = layer(32, 32).requires_grad_(False), maps(2, 32, 32, 32)
    for swap in (lambda model: accelerate(model, backend="native"), packed):
        model = copy.deepcopy(ordinary)
        swap(model)
        other = copy.deepcopy(ordinary)
        change(model)
        change(other)
        torch.testing.assert_close(model(x), other(x), rtol=1e-4, atol=1e-4)


def test_other_registers_and_other_backends_leave_convolutions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = create_model("cnn3")
    assert not accelerate(model, backend="reference").convolutions
    monkeypatch.setattr(importlib.import_module("senet.fast.training.accelerate"), "is_available", lambda: False)
    assert not accelerate(create_model("cnn3"), backend="native").convolutions


# ---- inference


def network() -> nn.Module:
    model = create_model("resnet8", se=SESpec(reduction=4)).to(memory_format=LAST).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return model


@small
@pytest.mark.usefixtures("unchecked")  # torch.fx passes proxies
def test_an_optimized_network_keeps_its_values_and_rectifies_in_the_convolution() -> None:
    model, x = network(), maps(2, 3, 20, 20)
    fast = optimize(model)
    own = [module for module in fast.modules() if isinstance(module, PackedConv2d)]
    assert len(own) == len(fast.report.convolutions) == 4  # the others have stride 2, or 3 channels
    assert any(module.rectify for module in own)
    with torch.no_grad():
        assert off(fast(x), model.double()(x.double())) < 1e-5
    assert all(module.packed is not None for module in own)
    assert "Winograd convolutions: 4" in str(fast.report)


@small
@pytest.mark.usefixtures("unchecked")  # torch.fx passes proxies
def test_copies_pickles_and_exports_of_an_optimized_network_keep_its_values() -> None:
    fast, x = optimize(network()), maps(2, 3, 20, 20)
    with torch.no_grad():
        expected = fast(x)
        stored = io.BytesIO()
        torch.save(fast, stored)
        stored.seek(0)
        assert len(stored.getvalue()) < 1.5 * 4 * sum(p.numel() for p in fast.parameters()) + 2**18
        for other in (copy.deepcopy(fast), torch.load(stored, weights_only=False)):
            assert not any(getattr(module, "packed", None) for module in other.modules())
            assert torch.equal(other(x), expected)
        exported = torch.export.export(fast, (x,)).module()
        torch.testing.assert_close(exported(x), expected, rtol=1e-4, atol=1e-5)


@small
def test_weights_that_are_written_moved_or_replaced_are_transformed_again() -> None:
    model, x = layer().requires_grad_(False), maps(1, 16, 8, 8)
    model.__class__ = PackedConv2d
    first = model(x)
    assert torch.equal(model(x), first)
    model.weight.mul_(2)
    model.bias.mul_(2)  # type: ignore[union-attr]
    torch.testing.assert_close(model(x), 2 * first)
    model.load_state_dict({"weight": model.weight / 2, "bias": model.bias / 2})  # type: ignore[operator]
    assert torch.equal(model(x), first)
    for _ in range(3):
        model.weight = nn.Parameter(-model.weight, requires_grad=False)
        model.bias = nn.Parameter(-model.bias, requires_grad=False)  # type: ignore[operator]
        first = -first
        assert torch.equal(model(x), first)
    model.double().float()
    assert torch.equal(model(x), first)
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(model)(x), first)


@small
@pytest.mark.usefixtures("unchecked")  # torch.fx passes proxies
def test_gradients_of_the_input_go_through_torchs_convolution() -> None:
    model, x = network(), maps(1, 3, 20, 20).requires_grad_()
    fast = optimize(model)
    (mine,) = torch.autograd.grad(fast(x).sum(), x)
    (theirs,) = torch.autograd.grad(model(x).sum(), x)
    assert off(mine, theirs.double()) < 1e-4
