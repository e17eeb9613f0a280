"""An accelerated network is the same network: values, gradients, statistics, keys, copies, and what it says it did."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from senet import SESpec, SqueezeExcite, accelerate, create_model
from senet.errors import SpecError
from senet.fast import decelerate
from senet.fast.kernels import backends
from senet.fast.kernels.compiled import compiler
from senet.fast.training import modules
from senet.nn import Residual, chain
from senet.nn.channelwise import Channelwise

needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler")
DESIGNS = {
    "plain": None,
    **{slot: SESpec(slot=slot, reduction=4) for slot in ("standard", "pre", "post", "identity", "inner")},
    "two slots": [SESpec(reduction=4), SESpec(reduction=4, slot="inner")],
    "standard and identity": [SESpec(reduction=4), SESpec(reduction=4, slot="identity")],
    "slow_both": SESpec(variant="slow_both", reduction=4, gate="tanh"),
    "bump_conv": SESpec(variant="bump_conv", reduction=4),
    "max": SESpec(squeeze="max", reduction=4),
    "none": SESpec(squeeze="none", reduction=4),
    **{kind: SESpec.kind(kind) for kind in ("eca", "srm", "gct", "lct")},
    "std": SESpec(squeeze="std", slot="identity", reduction=4),
    "no bias": SESpec(bias=False, reduction=4, gate="hard_sigmoid"),
}


def network(se: Any = None, name: str = "resnet8", dtype: torch.dtype = torch.float64, **options: Any) -> nn.Module:
    model = create_model(name, se=se, **options).to(dtype)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.3)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, Channelwise):
            nn.init.normal_(module.weight, 1, 0.3)
    return model


def outcome(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Run a step: logits, gradients of input and parameters, buffers."""
    torch.manual_seed(1)
    x = x.clone().requires_grad_()
    y = model(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    grads = [parameter.grad for parameter in model.parameters()]
    return [y, x.grad, *grads, *model.buffers()]  # type: ignore[list-item]


def assert_equal(ours: Sequence[Tensor], theirs: Sequence[Tensor], *, tolerance: float) -> None:
    for mine, wanted in zip(ours, theirs, strict=True):
        assert mine.dtype == wanted.dtype
        scale = wanted.abs().max().clamp_min(1e-30)
        assert ((mine - wanted).abs().max() / scale).item() < tolerance


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("design", list(DESIGNS))
def test_values_gradients_and_statistics_are_those_of_the_ordinary_network(design: str, train: bool) -> None:
    ordinary = network(DESIGNS[design]).train(train)
    fused = copy.deepcopy(ordinary)
    assert accelerate(fused, backend="reference").fused
    x = torch.randn(4, 3, 12, 12, dtype=torch.float64)
    assert_equal(outcome(fused, x), outcome(ordinary, x), tolerance=1e-10)


@needs_compiler
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("slot", ["standard", "identity", "inner"])
def test_the_native_backend_agrees_in_float32(
    slot: str, memory_format: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "SMALL", 0)
    monkeypatch.setattr(backends, "SMALL_GATED", 0)
    ordinary = network(DESIGNS[slot], dtype=torch.float32).to(memory_format=memory_format)
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="native")
    x = torch.randn(4, 3, 12, 12).contiguous(memory_format=memory_format)
    assert_equal(outcome(fused, x), outcome(ordinary, x), tolerance=1e-4)


@needs_compiler
def test_small_convolutions_as_products_agree() -> None:
    shallow = {"depths": (1, 1, 1, 1)}
    ordinary = network(SESpec(), "resnet50", torch.float32, num_classes=10, options=shallow)
    ordinary.to(memory_format=torch.channels_last)
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="native")
    x = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    products = []
    original = modules.as_product
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "as_product", lambda module, x: products.append(module) or original(module, x))
        mine = outcome(fused, x)
    assert len(products) > 5
    theirs = outcome(ordinary, x)
    assert_equal(mine[:1], theirs[:1], tolerance=1e-4)
    for ours, wanted in zip(mine[1:], theirs[1:], strict=True):  # a ReLU at its edge may open in one and not the other
        assert torch.linalg.norm((ours - wanted).double()) < 0.02 * torch.linalg.norm(wanted.double()) + 1e-6


FAMILIES = {
    "preact_resnet110": {"depths": (2, 2, 2)},
    "resnext50_32x4d": {"depths": (1, 1, 1, 1)},
    "mobilenet_v1": {},
    "bn_inception": {},
    "kth_resnet52": {"depths": (1, 1, 1)},
    "wrn16_8": {"width": 2},
}
SLOW = (pytest.param(name, marks=pytest.mark.slow) for name in ("senet154", "vgg16_bn", "inception_resnet_v2"))


@pytest.mark.parametrize("name", [*FAMILIES, *SLOW])
def test_every_family_keeps_its_values(name: str) -> None:
    torch.manual_seed(0)
    ordinary = network(SESpec(reduction=4), name, num_classes=3, options=FAMILIES.get(name, {})).eval()
    fused = copy.deepcopy(ordinary)
    assert accelerate(fused, backend="reference").fused
    side = 96 if name.startswith("inception") else 64  # its stem strides without padding
    x = torch.randn(1, 3, side, side, dtype=torch.float64)
    with torch.no_grad():
        assert_equal([fused(x)], [ordinary(x)], tolerance=1e-9)


@needs_compiler
def test_under_autocast_the_type_is_the_same_and_the_values_are_as_near_to_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "SMALL", 0)
    monkeypatch.setattr(backends, "SMALL_GATED", 0)
    ordinary = network(DESIGNS["standard"], dtype=torch.float32)
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="native")
    x = torch.randn(8, 3, 12, 12)
    exact = copy.deepcopy(ordinary)(x)
    with torch.autocast("cpu", torch.bfloat16):
        mine, theirs = fused(x), ordinary(x)
    assert mine.dtype == theirs.dtype
    assert (mine - exact).abs().mean() < 1.5 * (theirs - exact).abs().mean()
    mine.float().sum().backward()
    theirs.float().sum().backward()
    for ours, wanted in zip(fused.parameters(), ordinary.parameters(), strict=True):
        assert ours.grad is not None
        assert wanted.grad is not None
        assert ours.grad.dtype == wanted.grad.dtype
        assert torch.nn.functional.cosine_similarity(ours.grad.flatten(), wanted.grad.flatten(), dim=0) > 0.95


@pytest.mark.parametrize(
    "options", [{"momentum": None}, {"track_running_stats": False}, {"momentum": 0.5}, {"eps": 0.1}]
)
def test_running_statistics_follow_torch(options: dict[str, Any]) -> None:
    norm, block = nn.BatchNorm2d(8, **options), SqueezeExcite(8, SESpec(reduction=4))
    unit = Residual(chain(norm=norm), act=nn.ReLU(), gates={"standard": block})
    ordinary = unit.double()
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="reference")
    for train in (True, True, True, False):
        x = torch.randn(4, 8, 5, 5, dtype=torch.float64)
        mine, theirs = fused.train(train)(x), ordinary.train(train)(x)
        torch.testing.assert_close(mine, theirs)
        for ours, wanted in zip(fused.buffers(), ordinary.buffers(), strict=True):
            torch.testing.assert_close(ours, wanted)


@needs_compiler
def test_the_state_dict_keeps_keys_order_and_bits() -> None:
    model = network(DESIGNS["standard"], dtype=torch.float32)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    accelerate(model)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    model.load_state_dict(before)


@needs_compiler
def test_decelerate_gives_the_bits_of_before() -> None:
    model = network(DESIGNS["inner"], dtype=torch.float32).eval()
    x = torch.randn(2, 3, 12, 12)
    before, text = model(x), repr(model)
    accelerate(model)
    decelerate(model)
    assert torch.equal(model(x), before)
    assert repr(model) == text
    assert not any(type(module).__name__.startswith("Fused") for module in model.modules())


@needs_compiler
def test_copies_and_pickles_stay_accelerated() -> None:
    model = network(DESIGNS["standard"], dtype=torch.float32).eval()
    accelerate(model)
    x = torch.randn(2, 3, 12, 12)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))
        assert [type(part) for part in twin.modules()] == [type(part) for part in model.modules()]


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients(reentrant: bool) -> None:
    ordinary = network(DESIGNS["standard"])
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="reference")
    x = torch.randn(4, 3, 12, 12, dtype=torch.float64)

    def run(model: nn.Module, *, again: bool) -> list[Tensor]:
        y = x.clone().requires_grad_()
        y = model.stem(y)  # type: ignore[operator]
        y = checkpoint(model.stage1, y, use_reentrant=reentrant) if again else model.stage1(y)  # type: ignore[operator]
        y.pow(2).sum().backward()
        return [parameter.grad for parameter in model.stage1.parameters()]  # type: ignore[misc]

    assert_equal(run(fused, again=True), run(ordinary, again=False), tolerance=1e-10)


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True)])
def test_a_pool_before_its_relu_changes_no_bit(pool: nn.Module) -> None:
    ordinary = chain(conv=nn.Conv2d(3, 8, 3), act=nn.ReLU(), pool=pool)
    fused = copy.deepcopy(ordinary)
    accelerate(fused, backend="reference")
    called = []
    x = torch.randn(4, 3, 13, 13)
    for mine, theirs in zip(outcome(fused, x), outcome(ordinary, x), strict=True):
        assert torch.equal(mine, theirs)
    fused.get_submodule("act").register_forward_hook(lambda *given: called.append(given[2].shape))
    assert fused(x).shape == ordinary(x).shape
    assert called == [(4, 8, 11, 11)]  # with a hook it runs where it stands


def test_a_hook_on_a_module_inside_is_still_called() -> None:
    model = network(DESIGNS["standard"])
    accelerate(model, backend="reference")
    called: list[str] = []
    unit = model.get_submodule("stage1.unit1")
    for name in ("branch.norm1", "branch.act1", "branch.norm2", "se", "se.fc1", "act"):
        unit.get_submodule(name).register_forward_hook(lambda *_, name=name: called.append(name))
    model(torch.randn(2, 3, 12, 12, dtype=torch.float64))
    assert called == ["branch.norm1", "branch.act1", "branch.norm2", "se.fc1", "se", "act"]


COMPILE = """
import copy, sys, torch
from senet import SESpec, accelerate, create_model
from senet.fast.kernels import backends

backends.SMALL, backends.SMALL_GATED, (_, backend, how) = 0, 0, sys.argv
ordinary = create_model("resnet8", se=[SESpec(reduction=4), SESpec(slot="inner", stages=(2,), reduction=4)])
fused = copy.deepcopy(ordinary)
accelerate(fused, backend=backend)
x, outcomes = torch.randn(4, 3, 16, 16), []
for model in (ordinary, torch.compile(fused, fullgraph=how != "none", backend=how) if how != "none" else fused):
    for size in (16,) if how != "none" else (16, 20, 24):
        y = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0)).requires_grad_()
        logits = model(y)
        model.zero_grad()
        logits.pow(2).sum().backward()
    outcomes.append([logits, y.grad, *[parameter.grad for parameter in model.parameters()], *model.buffers()])
for one, other in zip(*outcomes):
    assert (one - other).abs().max() <= 1e-4 * one.abs().max(), (one, other)
if backend == "inductor":  # not one compilation for each size of a map
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] < 30, torch._dynamo.utils.counters["stats"]
"""


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "how"),
    [("reference", "aot_eager"), ("native", "aot_eager"), ("native", "inductor"), ("inductor", "none")],
)
def test_a_network_compiles_in_one_graph_around_the_operations(backend: str, how: str) -> None:
    words = [sys.executable, "-W", "ignore", "-c", COMPILE, backend, how]  # a process without the type checker
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_compiler
def test_saved_bytes_are_those_of_the_plain_network() -> None:
    saved = {}
    for name, se in (("plain", None), ("stock", SESpec()), ("fused", SESpec())):
        model = create_model("resnet50", se=se).to(memory_format=torch.channels_last)
        if name == "fused":
            accelerate(model)
        x = torch.randn(2, 3, 128, 128).contiguous(memory_format=torch.channels_last)
        saved[name] = saved_bytes(model, x)
    assert saved["stock"] > 1.2 * saved["plain"]
    assert saved["fused"] < 1.03 * saved["plain"]


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    storages = {}

    def keep(saved: Tensor) -> Tensor:
        storages[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        y = model(x)
    for parameter in model.parameters():
        storages.pop(parameter.untyped_storage().data_ptr(), None)
    del y
    return sum(storages.values())


@pytest.mark.parametrize("kind", ["eca", "ese", "ge", "srm", "gct", "gct_gaussian", "lct"])
def test_kinds_whose_squeeze_is_a_function_of_mean_and_variance_are_fused(kind: str) -> None:
    assert not [name for name, _ in accelerate(network(SESpec.kind(kind)), backend="reference").left if "se" in name]
    left = dict(accelerate(network(SESpec.kind(kind).but(slot="identity")), backend="reference").left)
    needs = kind in ("srm", "gct")
    assert left.get("stage1.unit1.se_identity", "").startswith("its squeeze needs the variance" if needs else "")
    assert ("stage1.unit1.se_identity" in left) == needs


def test_what_is_left_alone_is_named_with_its_reason() -> None:
    model = network([SESpec(squeeze="max"), SESpec(slot="pre")])
    done = accelerate(model, backend="reference")
    left = dict(done.left)
    assert left["stage1.unit1.branch.norm2"] == "the block after it needs the whole map"
    assert left["stage1.unit1.se"] == "the squeeze is 'max', which is not a function of mean and variance"
    assert "does not follow a norm" in left["stage1.unit1.se_pre"]
    assert "stem.norm" in done.fused
    assert done.backend == "reference"


class Foreign(nn.Module):
    """A unit as torchvision writes it, with a block as timm does, and a norm of its own."""

    class BatchNormAct2d(nn.BatchNorm2d):
        pass

    class SqueezeExcitation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.BatchNorm2d(8), self.BatchNormAct2d(8), nn.BatchNorm2d(8, affine=False)
        self.norm4, self.se = nn.BatchNorm2d(8), self.SqueezeExcitation()
        self.norm4.register_forward_hook(lambda module, x, y: None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.se(self.norm4(self.norm3(self.norm2(self.norm1(x))))))


@pytest.mark.usefixtures("unchecked")
def test_norms_and_blocks_of_other_libraries_are_listed_and_the_result_prints_as_text() -> None:
    done = accelerate(Foreign(), backend="reference")
    left = dict(done.left)
    assert left["norm1"] == "it is called in the forward method of Foreign, not in a sequence"
    assert left["norm2"] == "its class BatchNormAct2d is not one of torch's norms"
    assert left["norm3"] == "it has no weights, or no batch counter"
    assert left["norm4"] == "it has a hook"
    assert left["se"].startswith("its class SqueezeExcitation is not senet's")
    assert done.backend == ""
    assert str(done).splitlines()[0] == "norms fused: 0; blocks fused: 0; Winograd convolutions: 0; left: 5"
    text = str(accelerate(create_model("resnet50", options={"depths": (1, 1, 1, 1)}), backend="reference"))
    assert (
        text.splitlines()[0]
        == "norms fused: 13; blocks fused: 0; Winograd convolutions: 0; left: 4; backend: reference"
    )
    assert "stage1.unit1.shortcut.norm and 3 more: left, no ReLU follows it" in text


def test_a_map_of_one_value_gets_torchs_own_error() -> None:
    model = chain(norm=nn.BatchNorm2d(4), act=nn.ReLU())
    accelerate(model, backend="reference")
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(torch.randn(1, 4, 1, 1))


def test_without_a_compiler_the_network_is_left_as_it_is_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    model = network(DESIGNS["standard"], dtype=torch.float32)
    with pytest.warns(
        UserWarning, match=r"the network is not accelerated: .* needs a C\+\+ compiler, but none was found"
    ):
        done = accelerate(model)
    assert done.backend == ""
    assert not done.fused
    assert type(model.get_submodule("stage1.unit1")) is Residual


def test_mistakes_are_told(unchecked: None) -> None:
    with pytest.raises(SpecError, match=r"backend = 'nativ' is not known.*'native'"):
        accelerate(nn.Identity(), backend="nativ")
    with pytest.raises(SpecError, match="model = 'resnet50' is not a network"):
        accelerate("resnet50")  # type: ignore[arg-type]
