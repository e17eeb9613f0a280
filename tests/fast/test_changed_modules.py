"""Networks that users change before or after accelerate: values stay those of the ordinary network."""

import copy
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import senet
from senet import SESpec, SqueezeExcite, accelerate, create_model, decelerate, insert, optimize
from senet.errors import BackendError
from senet.fast.kernels import backends
from senet.fast.kernels import native as native_module
from senet.fast.kernels.backends import passes
from senet.fast.kernels.compiled import compiler
from senet.nn import Residual

needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler")


@pytest.fixture(autouse=True)
def _small_maps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "SMALL", 0)
    monkeypatch.setattr(backends, "SMALL_GATED", 0)


def conv() -> nn.Conv2d:
    return nn.Conv2d(16, 16, 1, bias=False)


def chain() -> nn.Sequential:
    return nn.Sequential(conv(), nn.BatchNorm2d(16), nn.ReLU(), conv(), nn.BatchNorm2d(16), nn.ReLU())


def maps() -> Tensor:
    return torch.randn(4, 16, 8, 8)


def assert_same(model: nn.Module, change: object = None) -> None:
    """Compare a step of the accelerated network with one of its ordinary twin."""
    ordinary, x = copy.deepcopy(model), maps()
    accelerate(model, backend="native" if compiler() else "reference")
    for each in (ordinary, model):
        if callable(change):
            change(each)
    outcomes = []
    for each in (ordinary, model):
        given = x.clone().requires_grad_()
        y = each(given)
        y.pow(2).sum().backward()
        outcomes.append([y, given.grad, *each.buffers()])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_module_that_stands_in_a_sequence_twice_runs_twice() -> None:
    relu, block, norm = nn.ReLU(), chain(), nn.BatchNorm2d(16)
    assert_same(nn.Sequential(conv(), nn.BatchNorm2d(16), relu, conv(), nn.BatchNorm2d(16), relu))
    assert_same(nn.Sequential(block, block))
    assert_same(Residual(nn.Sequential(conv(), norm, nn.ReLU(), conv(), norm), act=nn.ReLU()))


def forget(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False


def leak(model: nn.Module) -> None:
    model[2].forward = lambda x: nn.functional.leaky_relu(x, 0.3)  # type: ignore[index, operator]


def double(model: nn.Module) -> None:
    model[1].register_full_backward_pre_hook(lambda module, grads: (grads[0] * 2,))  # type: ignore[index, operator]


def unbias(model: nn.Module) -> None:
    model[1].bias = None  # type: ignore[index, operator]


@pytest.mark.parametrize("change", [forget, leak, double, unbias])
def test_what_is_changed_later_counts(change: object) -> None:
    assert_same(chain(), change)


def test_hooks_on_all_modules_see_every_module() -> None:
    model, seen = chain(), []
    accelerate(model, backend="reference")
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(type(module).__name__))
    try:
        model(maps())
    finally:
        handle.remove()
    assert seen[:3] == ["Conv2d", "BatchNorm2d", "ReLU"]


def test_a_squeeze_of_ones_own_is_used() -> None:
    block = SqueezeExcite(16, SESpec(reduction=4))
    block.squeeze = lambda x: x.amin(dim=(2, 3), keepdim=True)
    assert_same(nn.Sequential(conv(), nn.BatchNorm2d(16), nn.ReLU(), block))


class OneGate(nn.Module):
    """One weight for all channels of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(16, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.fc(z))


@pytest.mark.usefixtures("unchecked")  # it breaks the promise of shapes
def test_an_excitation_may_give_what_broadcasts() -> None:
    assert_same(nn.Sequential(conv(), nn.BatchNorm2d(16), nn.ReLU(), SqueezeExcite(16, excitation=OneGate())))
    gates = {"standard": SqueezeExcite(16, excitation=OneGate())}
    assert_same(Residual(nn.Sequential(conv(), nn.BatchNorm2d(16)), act=nn.ReLU(), gates=gates))


class Skip(nn.Module):
    """A map that is rectified in place and read again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv()
        self.pooled = nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return self.pooled(h) + h


def test_pools_go_first_only_where_the_result_stays_the_same() -> None:
    assert_same(Skip())
    model = nn.Sequential(conv(), nn.ReLU(), nn.MaxPool2d(2, return_indices=True))
    x = maps()
    before = model(x)
    accelerate(model, backend="reference")
    assert all(map(torch.equal, model(x), before))


@needs_compiler
@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore")
def test_tracers_and_transforms_get_torchs_operations() -> None:
    unit = Residual(nn.Sequential(conv(), nn.BatchNorm2d(16)), act=nn.ReLU(), gates={"standard": SqueezeExcite(16)})
    model, x = nn.Sequential(*chain(), unit).eval(), maps()
    expected = model(x)
    accelerate(model)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.trace(model, x)(x), expected, rtol=1e-4, atol=1e-5)
    from torch.fx.experimental.proxy_tensor import make_fx

    torch.testing.assert_close(make_fx(model)(x)(x), expected, rtol=1e-4, atol=1e-5)
    each = torch.func.vmap(lambda image: model(image[None])[0])(x)
    torch.testing.assert_close(each, expected, rtol=1e-4, atol=1e-5)
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert model(mode.from_tensor(x)).shape == expected.shape


@needs_compiler
def test_another_default_device_does_not_matter() -> None:
    model, x = chain(), maps()
    expected = copy.deepcopy(model)(x)
    accelerate(model)
    torch.set_default_device("meta")
    try:
        y = model(x)
    finally:
        torch.set_default_device(None)  # any other one would see every call of torch from here on
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5)


def test_slices_and_children_of_any_name_can_be_decelerated() -> None:
    model = chain()
    accelerate(model, backend="reference")
    joined = nn.Sequential(model[:3], model[3:])
    decelerate(joined)
    assert {type(part) for part in joined.modules()} & {nn.Sequential} == {nn.Sequential}
    accelerate(nn.Sequential(OrderedDict(frontend=conv(), backend=nn.ReLU())), backend="reference")
    assert senet.decelerate is decelerate


@pytest.fixture
def fresh() -> object:
    native_module.native.cache_clear()
    yield None
    native_module.native.cache_clear()


@needs_compiler
def test_a_source_without_its_functions_is_named(
    fresh: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "empty.cpp"
    source.write_text("int nothing;")
    monkeypatch.setattr(native_module, "SOURCE", source)
    with pytest.raises(BackendError, match=r"empty\.cpp lacks a function .*; reinstall senet"):
        passes("native")


@pytest.mark.slow  # compiles
@needs_compiler
def test_a_user_without_a_home_and_a_compiler_with_options_work(fresh: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    found = compiler()
    assert found is not None
    monkeypatch.setenv("CXX", f"{found[0]} -DNOTHING")
    assert compiler() == (*found, "-DNOTHING")
    assert passes("native") is not None


@pytest.mark.usefixtures("unchecked")
def test_inserted_blocks_are_optimized_like_built_ones() -> None:
    model = create_model("resnet8").eval()
    insert(model, SESpec(reduction=4), shape=(1, 3, 16, 16))
    for name, parameter in model.named_parameters():
        if ".se." in name:
            nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 3, 16, 16)
    expected = model(x)
    fast = optimize(model)
    torch.testing.assert_close(fast(x), expected, rtol=1e-4, atol=1e-4)
    assert len(fast.report.blocks) == 3
    torch.testing.assert_close(model(x), expected, rtol=0, atol=0)  # its own hooks are there still


@pytest.mark.usefixtures("unchecked")
def test_a_hook_keeps_its_layer_from_being_fused() -> None:
    model = create_model("resnet8").eval()
    model.get_submodule("stage1.unit1.branch.norm1").register_forward_hook(lambda module, args, y: 2 * y)
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(optimize(model)(x), model(x), rtol=1e-4, atol=1e-4)
