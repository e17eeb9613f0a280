"""What a user does to an accelerated or optimized network later counts: weights trained, cut, parametrized, moved."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.nn.utils import parametrizations, parametrize, prune

from senet import SESpec, accelerate, create_model, decelerate, optimize
from senet.errors import SpecError
from senet.fast.convolution import replace as convolution
from senet.fast.convolution.replace import PackedConv2d, TiledConv2d, is_available
from senet.fast.convolution.winograd import LAST
from senet.fast.inference.chain import Chain
from senet.fast.kernels import compiled
from senet.fast.kernels.compiled import compiler

needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler")
tiled = pytest.mark.skipif(not is_available(), reason="there is no C++ compiler, or no registers of 16 values")


@pytest.fixture(autouse=True)
def _small_maps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("WORTH", "FULL", "MANY"):
        monkeypatch.setattr(convolution, limit, 0)


def maps(*shape: int) -> Tensor:
    return torch.randn(shape).contiguous(memory_format=LAST)


def layer(channels: int = 16, outputs: int = 16, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels, outputs, 3, padding=1, bias=bias).to(memory_format=LAST)


def accelerated(conv: nn.Conv2d) -> nn.Conv2d:
    accelerate(conv, backend="native")
    assert type(conv) is TiledConv2d
    return conv


def packed(conv: nn.Conv2d) -> PackedConv2d:
    conv.__class__ = PackedConv2d
    assert isinstance(conv, PackedConv2d)
    return conv


def assert_near(mine: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


# ---- convolutions


@tiled
def test_a_bias_alone_can_be_trained() -> None:
    one = packed(layer().requires_grad_(False))
    one.bias.requires_grad_()  # type: ignore[union-attr]
    one(maps(2, 16, 8, 8)).sum().backward()
    assert_near(one.bias.grad, torch.full((16,), 128.0))  # type: ignore[union-attr,arg-type]


@tiled
@pytest.mark.parametrize("change", [lambda w: w[:16], lambda w: w.transpose(0, 1)], ids=["cut", "exchanged"])
def test_weights_that_lie_where_others_lay_are_transformed_again(change: Callable[[Tensor], Tensor]) -> None:
    ordinary, x = layer(32, 32, bias=False).requires_grad_(False), maps(1, 32, 8, 8)
    one = packed(copy.deepcopy(ordinary))
    one(x)
    for each in (one, ordinary):
        each.weight = nn.Parameter(change(each.weight), requires_grad=False)
    assert_near(one(x), ordinary(x))


@tiled
def test_steps_of_a_fused_optimizer_which_counts_no_version_are_followed() -> None:
    ordinary, x = layer(), maps(1, 16, 8, 8)
    one = packed(copy.deepcopy(ordinary).requires_grad_(False))
    one(x)
    one.requires_grad_()
    for each in (one, ordinary):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1, fused=True)
        with torch.no_grad():
            each(x)
        each(x).pow(2).mean().backward()
        optimizer.step()
    with torch.no_grad():
        assert_near(one(x), ordinary(x))
        assert one.packed is None
    assert_near(one.requires_grad_(False)(x), ordinary(x).detach())


@tiled
def test_a_bias_of_another_length_is_torchs_error() -> None:
    for one in (accelerated(layer(16, 32)), packed(layer(16, 32))):
        one.requires_grad_(False)
        one.bias = nn.Parameter(torch.zeros(5), requires_grad=False)
        with pytest.raises(RuntimeError, match="bias"):
            one(maps(1, 16, 8, 8))


@tiled
@pytest.mark.parametrize("name", ["stride", "padding", "dilation"])
def test_one_number_for_both_sizes_is_understood(name: str) -> None:
    one, x = layer(), maps(1, 16, 8, 8)
    setattr(one, name, 1)
    expected = one(x)
    assert_near(accelerated(one)(x), expected)


@tiled
def test_a_moved_or_cast_layer_lets_the_transformed_weights_go() -> None:
    one = packed(layer().requires_grad_(False))
    one(maps(1, 16, 8, 8))
    assert one.packed is not None
    one.double()
    assert one.packed is None


@tiled
def test_maps_that_come_back_in_another_layout_give_the_same_gradients() -> None:
    ordinary, x = layer(), maps(2, 16, 8, 8)
    one = accelerated(copy.deepcopy(ordinary))
    for each in (one, ordinary):
        with torch.autograd.graph.saved_tensors_hooks(lambda x: x.contiguous(), lambda x: x):
            each(x).pow(2).sum().backward()
    assert_near(one.weight.grad / 100, ordinary.weight.grad / 100)  # type: ignore[operator]


@tiled
@pytest.mark.filterwarnings("ignore")
def test_many_gradients_at_once_are_torchs() -> None:
    ordinary, x = nn.Sequential(layer(), nn.ReLU(), layer()), maps(1, 16, 4, 4)
    model = copy.deepcopy(ordinary)
    accelerate(model, backend="native")
    mine, theirs = (jacobian(lambda x, m=m: m(x).sum((2, 3)), x, vectorize=True) for m in (model, ordinary))
    assert_near(mine, theirs)


@tiled
def test_a_spectral_norm_iterates_once_a_call() -> None:
    ordinary, x = layer(), maps(2, 16, 8, 8)
    layers = [ordinary, accelerated(copy.deepcopy(ordinary)), packed(copy.deepcopy(ordinary))]
    for each in layers:
        torch.manual_seed(1)
        parametrizations.spectral_norm(each)
    for _ in range(2):
        expected, *found = [each(x) for each in layers]
        assert all(torch.equal(y, expected) for y in found)
    decelerate(layers[1])
    parametrize.remove_parametrizations(layers[1], "weight")
    assert torch.equal(layers[1](x), nn.functional.conv2d(x, layers[1].weight, layers[1].bias, padding=1))


@tiled
def test_another_backend_reports_no_convolutions() -> None:
    model = nn.Sequential(layer(), nn.BatchNorm2d(16), nn.ReLU())
    assert accelerate(model, backend="native").convolutions == ("0",)
    assert accelerate(model, backend="reference").convolutions == ()


# ---- blocks


@pytest.fixture
def network() -> nn.Module:
    model = create_model("resnet8", se=SESpec(reduction=4)).eval()
    for name, parameter in model.named_parameters():
        if ".se." in name:
            nn.init.normal_(parameter, std=0.2)
    return model


def chains(model: nn.Module) -> list[Chain]:
    found = [module for module in model.modules() if isinstance(module, Chain)]
    assert found
    return found


class Twice(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


@needs_compiler
@pytest.mark.usefixtures("unchecked")  # torch.fx passes proxies
def test_parametrized_weights_of_a_block_are_used(network: nn.Module) -> None:
    fast, x = optimize(network), maps(2, 3, 32, 32)
    with torch.no_grad():
        fast(x)
        other = copy.deepcopy(fast)
        for one, two in zip(chains(fast), chains(other), strict=True):
            parametrize.register_parametrization(one, "weight1", Twice())
            two.weight1.mul_(2)  # type: ignore[operator,union-attr]
        assert_near(fast(x), other(x))


@needs_compiler
@pytest.mark.usefixtures("unchecked")  # torch.fx passes proxies
def test_hidden_channels_that_are_cut_off_are_gone(network: nn.Module) -> None:
    fast, x = optimize(network), maps(2, 3, 32, 32)
    with torch.no_grad():
        other = copy.deepcopy(fast)
        fast(x)
        for one in (*chains(fast), *chains(other)):
            half = len(one.weight1) // 2  # type: ignore[arg-type]
            for name, dim in (("weight1", 0), ("bias1", 0), ("weight2", 1)):
                setattr(one, name, nn.Parameter(getattr(one, name).narrow(dim, 0, half), requires_grad=False))
        assert_near(fast(x), other(x))


# ---- networks


@pytest.mark.usefixtures("unchecked")  # torch.fx passes proxies
def test_one_number_for_all_sizes_of_a_convolution_is_optimized(network: nn.Module) -> None:
    for conv in network.modules():
        if isinstance(conv, nn.Conv2d):
            conv.stride, conv.padding = conv.stride[0], conv.padding[0]  # type: ignore[assignment]
    x = torch.randn(2, 3, 32, 32)
    assert_near(optimize(network)(x), network(x))


@pytest.mark.usefixtures("unchecked")  # torch.fx passes proxies
def test_pruned_weights_can_be_optimized(network: nn.Module) -> None:
    x, name = torch.randn(2, 3, 32, 32), "stage2.unit1.branch.conv2"
    prune.l1_unstructured(network.get_submodule(name), "weight", 0.5)
    before = network(x)
    fast = optimize(network)
    assert fast.report.norms
    assert_near(fast(x), before)
    assert torch.equal(network(x), before)


class Statements(nn.Module):
    """A network that writes into its maps by statements whose value it does not use."""

    def __init__(self, write: Callable[..., object]) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.next, self.other = nn.Conv2d(16, 16, 1), nn.Conv2d(3, 16, 3)
        self.relu = nn.ReLU(inplace=True)
        self.write = write

    def forward(self, x: Tensor) -> Tensor:
        u = self.norm(self.conv(x))
        self.write(self, u, self.other(x))
        return self.next(u) + u


@pytest.mark.usefixtures("unchecked")  # torch.fx passes proxies
@pytest.mark.parametrize(
    "write",
    [
        lambda net, u, r: net.relu(u),
        lambda net, u, r: nn.functional.relu(u, inplace=True),
        lambda net, u, r: torch.relu_(u),
        lambda net, u, r: u.add_(r),
        lambda net, u, r: torch.add(u, r, out=u),
    ],
    ids=["module", "functional", "relu_", "add_", "out"],
)
def test_what_is_written_into_a_map_by_a_statement_is_read(write: Callable[..., object]) -> None:
    model, x = Statements(write).eval(), torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert_near(optimize(model)(x), model(x))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "write",
    [lambda net, u, r: u.view(-1).relu_(), lambda net, u, r: net.relu(u[:, :8])],
    ids=["view", "slice"],
)
def test_what_is_written_through_a_view_is_refused_not_lost(write: Callable[..., object]) -> None:
    with pytest.raises(SpecError, match="writes into a slice or view of a map"):
        optimize(Statements(write).eval())


# ---- the library


@needs_compiler
def test_a_library_that_cannot_be_kept_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    source = tmp_path / "small.cpp"
    source.write_text('extern "C" int senet_seven() { return 7; }')
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert compiled.load(source).senet_seven() == 7
    assert not list(tmp_path.glob("senet-*"))
