"""The end of a unit in one call of C++: torch's values in every layout, type and size, and torch where it must."""

import copy
import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senet import SESpec, SqueezeExcite, create_model, optimize
from senet.fast.conv_norm import Pointwise
from senet.fast.inference import ends
from senet.fast.inference.chain import FUNCTIONS, Chain, Layer
from senet.fast.inference.commuted import CommutedTail, GatedTail, PlainTail, Tail
from senet.fast.inference.ends import End
from senet.fast.kernels.compiled import compiler

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler"),
    pytest.mark.usefixtures("unchecked"),  # as users run it; torch.fx traces with proxies
]
FORMATS = (torch.channels_last, torch.contiguous_format)
SIZES = ((2, 16, 4, 4), (3, 5, 3, 7), (1, 33, 5, 5), (5, 100, 1, 1), (2, 1, 4, 3), (4, 64, 9, 9))


def layer(inputs: int, outputs: int, function: str, dtype: torch.dtype = torch.float32, *, bias: bool = True) -> Layer:
    weight = torch.randn(outputs, inputs, dtype=dtype) / inputs**0.5
    return Layer(Pointwise(weight, torch.randn(outputs, dtype=dtype) if bias else None), function)


def chain(channels: int, outputs: int, dtype: torch.dtype = torch.float32) -> Chain:
    hidden = layer(channels, 3, "relu", dtype, bias=False)
    return Chain([hidden, layer(3, 18, "silu", dtype), layer(18, outputs, "sigmoid", dtype)])


def formula(u: Tensor, s: Tensor | None, r: Tensor | None, *, rectify: bool = True) -> Tensor:
    y = u.double() * (1 if s is None else s.double()) + (0 if r is None else r.double())
    return y.relu() if rectify else y


def excited(chain: Chain, h: Tensor) -> Tensor:
    return copy.deepcopy(chain).double()(h.double().mean((2, 3)))[:, :, None, None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("size", "memory_format"), list(product(SIZES, FORMATS)))
def test_the_end_is_its_formula(size: tuple[int, ...], memory_format: torch.memory_format, dtype: torch.dtype) -> None:
    u, r = (torch.randn(size).to(dtype).contiguous(memory_format=memory_format) for _ in range(2))
    h = torch.randn(size[0], 7, 3, 5).to(dtype).contiguous(memory_format=memory_format)
    excite, given = chain(7, size[1], dtype), torch.rand(*size[:2], 1, 1)
    tolerance = 2e-6 if dtype == torch.float32 else 8e-3
    for s, shortcut, averaged, rectify in product((None, given), (None, r), (None, h), (False, True)):
        if s is not None and averaged is not None:
            continue
        before = u.clone()
        end = End(rectify=rectify, own=False)
        y = end.finish(u, s, shortcut, averaged, None if averaged is None else excite)
        assert y is not None
        assert y.stride() == u.stride()
        assert torch.equal(u, before)
        wanted = formula(u, s if averaged is None else excited(excite, averaged), shortcut, rectify=rectify)
        torch.testing.assert_close(y.double(), wanted, rtol=tolerance, atol=tolerance)
    assert End(rectify=False, own=True).finish(u, given, None, None, None) is u


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_every_function_is_torchs(name: str) -> None:
    z = torch.tensor([-1e30, -200.0, -90, -20, -6, -3, -1, -1e-3, -0.0, 0, 1e-3, 0.5, 1, 3, 6, 20, 90, 200])
    identity = Chain([Layer(Pointwise(torch.eye(18), None), name)])
    got = End(rectify=False, own=True).finish(torch.ones(1, 18, 2, 2), None, None, z.view(1, 18, 1, 1), identity)
    assert got is not None
    torch.testing.assert_close(got[0, :, 0, 0].double(), FUNCTIONS[name](z.double()), rtol=3e-7, atol=2e-7)


def test_what_is_no_number_stays_none() -> None:
    excite = chain(4, 8)
    h = torch.full((1, 4, 2, 2), float("nan"))
    y = End(rectify=True, own=True).finish(torch.ones(1, 8, 2, 2), None, None, h, excite)
    assert y is not None
    assert y.isnan().all()


def test_several_threads_of_torch_give_the_same_values() -> None:
    u, h, excite = torch.randn(1, 300, 40, 40), torch.randn(1, 301, 40, 40), chain(301, 300)
    for memory_format in FORMATS:
        for count in (1, 3):
            torch.set_num_threads(count)
            try:
                y = End(rectify=True, own=False).finish(
                    u, None, None, h.contiguous(memory_format=memory_format), excite
                )
            finally:
                torch.set_num_threads(1)
            assert y is not None
            torch.testing.assert_close(y.double(), formula(u, excited(excite, h), None), rtol=2e-6, atol=2e-6)


def unit(*, se: bool = True) -> nn.Module:
    """A bottleneck and a basic unit, wide enough to have a shape of their own everywhere."""
    options = {"depths": (1, 1, 1, 1), "widths": (16, 32, 64, 128)}
    return create_model("resnet50", se=SESpec() if se else None, num_classes=10, options=options).eval()


def images(count: int = 2, size: int = 32) -> Tensor:
    return torch.rand(count, 3, size, size).contiguous(memory_format=torch.channels_last)


def tails(network: nn.Module) -> list[Tail]:
    return [module for module in network.modules() if isinstance(module, Tail)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each call of the library."""
    made: list[int] = []
    real = ends.library()
    assert real is not None
    monkeypatch.setattr(ends, "library", lambda: lambda *words: (made.append(1), real(*words)))
    return made


@torch.no_grad()
def same(model: nn.Module, optimized: nn.Module, x: Tensor) -> bool:
    wanted, got = model(x), optimized(x)
    return bool((wanted.double() - got.double()).norm() < 1e-5 * wanted.double().norm())


def test_a_unit_is_one_call(calls: list[int]) -> None:
    model = unit()
    optimized = optimize(model)
    calls.clear()  # of the comparison
    assert all(block.native and "one native call" in str(block) for block in optimized.report.blocks)
    assert same(model, optimized, images())
    assert len(calls) == 4
    assert same(unit(), optimize(model), images()) is False  # another network: the comparison can fail


@pytest.mark.slow
@pytest.mark.parity
def test_blocks_of_timm_are_one_call(calls: list[int]) -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model("mobilenetv3_small_050", num_classes=10).eval()  # relu, hard_sigmoid, maps not their own
    optimized = optimize(model)
    assert same(model, optimized, images(1, 64))
    assert len(calls) == len(optimized.report.blocks) == 9
    assert len(optimize(timm.create_model("efficientnet_b0")).report.blocks) == 16
    assert all(block.native for block in optimize(timm.create_model("efficientnet_b0")).report.blocks)


def test_a_large_plain_sum_is_one_call_and_a_small_one_is_torchs(calls: list[int]) -> None:
    tail = PlainTail(rectify=True)
    for size in (8, 64):
        u, r = torch.randn(2, 1, 33, size, size).unbind()
        wanted = formula(u, None, r)
        torch.testing.assert_close(tail(u, r).double(), wanted, rtol=1e-6, atol=1e-6)
    assert len(calls) == 1


def test_weights_that_change_are_followed() -> None:
    model, x = unit(), images()
    optimized = optimize(model)
    assert same(model, optimized, x)
    other = unit()
    optimized.load_state_dict(optimize(other).state_dict())
    assert same(other, optimized, x)
    optimized.load_state_dict(optimize(model).state_dict(), assign=True)
    assert same(model, optimized, x)
    excite = tails(optimized)[0].excite
    assert isinstance(excite, Chain)
    before = optimized(x)
    excite.get_parameter("bias2").data = torch.full((64,), 3.0)
    assert not torch.equal(optimized(x), before)


def test_casts_and_moves_are_followed() -> None:
    model, x = unit(), images()
    optimized = optimize(model)
    assert same(model, optimized, x)
    half = copy.deepcopy(model).bfloat16()
    with torch.no_grad():
        wanted = model(x)
        near = (half(x.bfloat16()) - wanted).norm()
        assert (optimized.bfloat16()(x.bfloat16()) - wanted).norm() < 1.5 * near
    assert same(copy.deepcopy(half).float(), optimized.float(), x) is False  # rounded once, after the norms are folded
    fresh = optimize(model)
    assert same(model, fresh, x)
    assert same(copy.deepcopy(model).double(), fresh.double(), x.double())
    assert same(model, fresh.float(), x.contiguous())
    assert fresh.to("meta")(x.to("meta")).shape == (2, 10)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_copies_made_after_a_call_share_nothing(way: Callable[[nn.Module], nn.Module]) -> None:
    model, x = unit(), images()
    optimized = optimize(model)
    optimized(x)
    again = way(optimized)
    assert torch.equal(again(x), optimized(x))
    for parameter in again.parameters():
        parameter.data.zero_()
    assert same(model, optimized, x)
    assert not again(x).any()


def test_two_threads_may_run_one_network() -> None:
    optimized = optimize(unit())
    inputs = [images(count, size) for count, size in ((1, 32), (3, 32), (2, 48), (1, 64))]
    with torch.inference_mode():
        wanted = [optimized(x) for x in inputs]

    def run(number: int) -> bool:
        with torch.inference_mode():
            return torch.equal(optimized(inputs[number % 4]), wanted[number % 4])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(32)))


def test_a_hook_on_an_excitation_runs(calls: list[int]) -> None:
    optimized, x = optimize(unit()), images()
    calls.clear()  # of the comparison
    excite = tails(optimized)[0].excite
    assert isinstance(excite, Chain)
    seen: list[tuple[int, ...]] = []
    handle = excite.register_forward_hook(lambda module, given, s: seen.append(tuple(s.shape)))
    before = optimized(x)
    assert seen == [(2, 64)]
    assert len(calls) == 3
    handle.remove()
    torch.testing.assert_close(optimized(x), before, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_observed_operations_are_torchs(calls: list[int]) -> None:
    optimized, x = optimize(unit()), images()
    expected = optimized(x)
    calls.clear()
    from torch.fx.experimental.proxy_tensor import make_fx

    results = [make_fx(optimized)(x)(x), torch.func.vmap(lambda image: optimized(image[None])[0])(x)]
    with torch.no_grad():
        results.append(torch.jit.trace(optimized, x, check_trace=False)(x))
    for result in results:
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        optimized(x)
    finally:
        handle.remove()
    assert not calls


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own decompositions
def test_forward_derivatives_are_those_of_the_network(calls: list[int]) -> None:
    model, x, direction = unit().double(), images(1).double(), images(1).double()
    slopes = []
    fast = optimize(model).float()
    calls.clear()  # of the comparison
    for network in (model.float(), fast):
        with torch.autograd.forward_ad.dual_level():
            y = network(torch.autograd.forward_ad.make_dual(x.float(), direction.float()))
            slopes.append(torch.autograd.forward_ad.unpack_dual(y).tangent)
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-3, atol=1e-4)
    assert not calls


def test_gradients_reach_an_excitation_that_asks_for_them(calls: list[int]) -> None:
    optimized, x = optimize(unit()), images()
    optimized(x)
    excite = tails(optimized)[-1].excite
    assert isinstance(excite, Chain)
    excite.requires_grad_(True)
    calls.clear()
    optimized(x).sum().backward()
    assert len(calls) == 3
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in excite.parameters())
    with torch.no_grad():
        optimized(x)
    assert len(calls) == 7


@pytest.mark.slow
def test_a_compiled_network_runs_torchs_operations(calls: list[int]) -> None:
    model, x = unit(), images()
    optimized = optimize(model)
    with torch.no_grad():
        got = torch.compile(optimized, fullgraph=True, backend="eager")(x)
        torch.testing.assert_close(got, model(x), rtol=1e-4, atol=1e-5)
    assert not calls


def test_without_a_compiler_torch_computes_in_silence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model, x = unit(), images()
    ends.library.cache_clear()
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    try:
        with warnings.catch_warnings(record=True) as caught:
            optimized = optimize(model)
            assert same(model, optimized, x)
        assert not caught
        assert not any(block.native for block in optimized.report.blocks)
    finally:
        monkeypatch.undo()
        ends.library.cache_clear()


def test_a_map_in_another_layout_runs() -> None:
    u, r, s = torch.randn(2, 8, 6, 6), torch.randn(2, 8, 6, 6), torch.rand(2, 8, 1, 1)
    end = End(rectify=True, own=False)
    assert end.finish(u, s, r.contiguous(memory_format=torch.channels_last), None, None) is None
    assert end.finish(u[:, :, ::2], s, r[:, :, ::2], None, None) is None
    assert end.finish(u.double(), s, r.double(), None, None) is None
    assert end.finish(u[0][None], s, r, None, None) is None
    assert end.finish(u, s, r, None, None) is not None


class Strided(nn.Module):
    """A shortcut of stride 2 that gives what its block averages."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.se = nn.Conv2d(3, 16, 1, stride=2), nn.BatchNorm2d(16), SqueezeExcite(16)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.se(self.norm(self.conv(x))) + 1.0)


def test_a_convolution_with_a_stride_is_averaged_where_it_looks(calls: list[int]) -> None:
    model = Strided().eval()
    optimized = optimize(model)
    calls.clear()  # of the comparison
    assert [type(tail) for tail in tails(optimized)] == [CommutedTail]
    assert same(model, optimized, torch.rand(2, 3, 9, 9))
    assert len(calls) == 1


class Written(nn.Module):
    """A block as others write them."""

    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Conv2d(8, 4, 1), act, nn.Conv2d(4, 8, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))


class SEModule(Written):
    """The name by which such a block is found."""


@pytest.mark.parametrize(
    ("act", "native"),
    [
        (F.silu, True),
        (nn.Hardswish(), True),
        (lambda z: F.leaky_relu(z, 0.3), False),  # a setting that C++ does not know
        (lambda z: F.relu(z).tanh(), False),  # two functions in a row
    ],
)
def test_only_a_chain_of_known_functions_is_one_call(
    calls: list[int], act: Callable[[Tensor], Tensor], *, native: bool
) -> None:
    # Hardswish gives a map that is not the block's own
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.Hardswish(), SEModule(act)).eval()
    optimized = optimize(model)
    calls.clear()  # of the comparison
    assert [type(tail) for tail in tails(optimized)] == [GatedTail]
    assert optimized.report.blocks[0].native == native
    assert same(model, optimized, images())
    assert len(calls) == 1  # otherwise of the end alone
