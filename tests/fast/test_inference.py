"""`optimize`: the same numbers from fewer passes, on our networks and on those of timm."""

import pickle
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from senet.errors import SpecError
from senet.fast import Optimized, accelerate, optimize
from senet.fast.inference import ends
from senet.fast.inference.commuted import finish
from senet.models import create_model
from senet.nn import SqueezeExcite
from senet.spec import SLOTS, VARIANTS, SESpec

# torch.fx traces our forward passes with proxies, which the type checker of the tests would refuse
pytestmark = pytest.mark.usefixtures("unchecked")
CHANNELS_LAST = torch.channels_last
# few units of few channels say what many of many say
NARROW = {"depths": (2, 1, 1, 1), "widths": (16, 32, 64, 128)}
SHORT = {"depths": (1, 1, 1)}
SMALL = {
    **dict.fromkeys(("resnet18", "resnet50", "resnext50_32x4d"), NARROW),
    **dict.fromkeys(("resnet20", "kth_resnet52"), SHORT),
    "shufflenet_v1": {"depths": (2, 2, 2)},
    "mobilenet_v1": {"depths": (2, 1), "widths": (16, 32), "stem_width": 8},
}


def trained(model: nn.Module) -> nn.Module:
    """Set values of their own for the statistics and parameters of norms: fresh ones hide what a fold does wrong."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return model.eval()


def zoo(name: str, se: object = None) -> nn.Module:
    return trained(create_model(name, se=se, num_classes=10, options=SMALL.get(name, {})))  # type: ignore[arg-type]


@torch.no_grad()
def error(model: nn.Module, optimized: nn.Module, x: Tensor) -> float:
    wanted = model(x)
    return float((optimized(x) - wanted).norm() / wanted.norm())


def images(size: int = 32, *, count: int = 2) -> Tensor:
    return torch.rand(count, 3, size, size)


def assert_same(model: nn.Module, size: int = 32) -> Optimized:
    shape = (1, 3, size, size)  # one size is compared inside: what follows compares more, in float64
    optimized = optimize(model, shape=shape)
    given = images(size), images(size, count=1).contiguous(memory_format=CHANNELS_LAST)
    with torch.no_grad():
        found = [optimized(x) for x in given]
        model.double()  # in float32 the network itself errs, by up to 6e-6 here
        for x, y in zip(given, found, strict=True):
            wanted = model(x.double())
            assert (y - wanted).norm() / wanted.norm() < 1e-5
    assert error(model, optimize(model, shape=shape), images(size).double()) < 1e-12
    return optimized


@pytest.mark.parametrize("slot", SLOTS)
def test_every_slot_gives_the_same_logits(slot: str) -> None:
    report = assert_same(zoo("resnet20", SESpec(reduction=4, slot=slot))).report
    assert len(report.norms) == 7
    assert len(report.blocks) == 3
    assert all(block.joined for block in report.blocks)


@pytest.mark.parametrize("variant", sorted(VARIANTS.keys() - {"direct", "channelwise", "channelwise_both", "none"}))
def test_every_variant_gives_the_same_logits(variant: str) -> None:
    report = assert_same(zoo("resnet50", SESpec(variant=variant))).report
    assert len(report.norms) == 20
    assert all(bool(block.squeeze) == (variant != "bump_conv") for block in report.blocks)
    assert all("has layers before the squeeze" in block.why for block in report.blocks if not block.squeeze)


@pytest.mark.parametrize(
    "design",
    [
        SESpec(squeeze="max"),
        SESpec(squeeze="none"),
        SESpec(gate="unit_tanh", activation="gelu"),
        SESpec(bias=False, gate="hard_sigmoid"),
        [SESpec(), SESpec(slot="identity")],
        SESpec(norm="rms"),
        SESpec(variant="direct", norm="channels"),
    ],
    ids=["max", "none", "gates", "biasless", "two slots", "norm of the hidden units", "norm of the average"],
)
def test_every_design_gives_the_same_logits(design: SESpec | Sequence[SESpec]) -> None:
    assert_same(zoo("resnet50", design))


class SamePadded(nn.Conv2d):
    """A convolution that computes its padding from the size of the map, which torch.fx cannot trace."""

    def forward(self, input: Tensor) -> Tensor:
        (step, _), (size, _) = self.stride, self.kernel_size
        pad = [max(0, (-(-side // step) - 1) * step + size - side) for side in (input.shape[-1], input.shape[-2])]
        padded = nn.functional.pad(input, [p for both in pad for p in (both // 2, both - both // 2)])
        return nn.functional.conv2d(padded, self.weight, self.bias, self.stride)


class Standardized(SamePadded):
    """The same with a weight of its own scale."""

    def forward(self, input: Tensor) -> Tensor:
        if input.shape[-1] < self.kernel_size[0]:
            raise ValueError(self.kernel_size)
        weight = self.weight / self.weight.std(dim=(1, 2, 3), keepdim=True)
        return nn.functional.conv2d(input, weight, self.bias, self.stride, padding=1)


def test_layers_that_read_the_size_of_their_map_run_as_they_are() -> None:
    first, second = SamePadded(3, 8, 3, stride=2, bias=False), Standardized(8, 16, 3)
    model = trained(nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU(), second, nn.BatchNorm2d(16), SqueezeExcite(16)))
    optimized = assert_same(model, 31)
    report = optimized.report
    assert report.norms == ("1",)
    assert report.left_norms == (("4", "the forward pass of Standardized is not linear in its weight"),)
    assert sum(type(module) is SamePadded for module in optimized.modules()) == 1


@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_over_channels_runs_in_the_native_call(bias: bool) -> None:
    model = zoo("resnet50", SESpec(variant="conv", bias=bias))
    for block in model.modules():
        if isinstance(block, SqueezeExcite):
            nn.init.normal_(block.get_submodule(block.layers[0]).weight)
    report = assert_same(model).report
    assert all(block.squeeze for block in report.blocks)
    assert {block.native for block in report.blocks} == {ends.library() is not None}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet18", 32),
        ("resnext50_32x4d", 32),
        ("kth_resnet52", 32),
        ("mobilenet_v1", 32),
        ("shufflenet_v1", 32),
    ],
)
def test_every_family_gives_the_same_logits(name: str, size: int) -> None:
    assert_same(zoo(name, SESpec(reduction=4)), size)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet50.v15", 64),
        ("preact_resnet110", 32),
        ("shake29_2x4x64d", 32),
        ("bn_inception", 64),
        ("senet154", 64),
        ("inception_resnet_v2", 96),
        ("wrn16_8", 32),
    ],
)
def test_large_families_give_the_same_logits(name: str, size: int) -> None:
    assert_same(zoo(name, SESpec()), size)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "early"),
    [
        pytest.param("mobilenetv3_small_050", 0, marks=pytest.mark.slow),
        pytest.param("seresnet50", 16, marks=pytest.mark.slow),
        pytest.param("seresnext26d_32x4d", 8, marks=pytest.mark.slow),
        pytest.param("legacy_seresnet18", 0, marks=pytest.mark.slow),
    ],
)
def test_networks_of_timm_give_the_same_logits(name: str, early: int) -> None:
    timm = pytest.importorskip("timm")
    report = assert_same(trained(timm.create_model(name, num_classes=10)), 64).report
    assert report.left_norms == ()
    assert sum(bool(block.squeeze) for block in report.blocks) == early
    assert all(block.joined for block in report.blocks)
    assert sum(block.fused for block in report.blocks) == early


def test_a_bottleneck_averages_the_input_of_its_last_convolution() -> None:
    report = optimize(zoo("resnet50", SESpec())).report
    assert report.blocks[0].squeeze == "stage1.unit1.branch.conv3"
    assert report.blocks[0].fused
    assert {block.joined for block in report.blocks} == {"scale + sum + relu"}
    assert report.left_norms == ()
    assert "5 of 5 squeezed before their convolution" in str(report)


def test_the_map_that_is_gated_is_never_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    mean = Tensor.mean
    monkeypatch.setattr(
        Tensor, "mean", lambda x, *args, **kwargs: (seen.append(x.shape[1]), mean(x, *args, **kwargs))[1]
    )
    monkeypatch.setattr(ends, "library", lambda: None)  # C++ gets the same maps (`test_ends.py`)
    fast = optimize(zoo("resnet50", SESpec()))
    seen.clear()  # of what was compared
    fast(images())
    assert seen == [16, 16, 32, 64, 128, 512]


def test_the_plain_network_has_its_norms_folded() -> None:
    optimized = assert_same(zoo("resnet20"))
    assert len(optimized.report.norms) == 7
    assert optimized.report.sums == 3
    assert not any(isinstance(module, nn.BatchNorm2d) for module in optimized.modules())


class Copied(nn.Module):
    """The block of most copies: linear maps, sizes read from the map."""

    def __init__(self, channels: int, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.fc = nn.Sequential(nn.Linear(channels, 4), nn.ReLU(inplace=True), nn.Linear(4, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.size()
        y = self.fc(self.pool(x).view(b, c)).view(b, c, 1, 1)
        return x * y.expand_as(x)


class SELayer(Copied):
    """The name by which such a block is found."""


def test_a_copied_block_averages_early_without_a_folded_layer() -> None:
    model = trained(nn.Sequential(nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16), SELayer(16, nn.AdaptiveAvgPool2d(1))))
    (block,) = assert_same(model).report.blocks
    assert (block.squeeze, block.fused, block.joined) == ("0", False, "scale")


def test_a_foreign_block_that_looks_at_more_than_the_average_stays() -> None:
    model = trained(nn.Sequential(nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16), SELayer(16, nn.AdaptiveMaxPool2d(1))))
    (block,) = assert_same(model).report.blocks
    assert block.joined == ""
    assert "more than the average" in block.why


class Written(nn.Module):
    """A shortcut that is taken before a ReLU overwrites it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1, self.act1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        u = self.norm1(self.conv1(x))
        return self.conv2(self.act1(u)) + u


def test_who_reads_a_map_after_it_was_overwritten_gets_what_was_written() -> None:
    assert_same(trained(Written()))


class Read(nn.Module):
    """A convolution whose output is read beside its norm, and the norm's beside its block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)
        self.conv2, self.norm2, self.se = nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16), SqueezeExcite(16)

    def forward(self, x: Tensor) -> Tensor:
        u = self.conv1(x)
        v = self.norm2(self.conv2(self.norm1(u)))
        return (self.se(v) + v).relu() * u.mean()


def test_a_map_that_something_else_reads_stays_as_it_is() -> None:
    report = assert_same(trained(Read())).report
    assert report.left_norms == (("norm1", "something else reads the map between them"),)
    assert "something else reads" in report.blocks[0].why


def test_a_layer_that_is_called_twice_is_left_alone() -> None:
    block, norm, conv = SqueezeExcite(8, SESpec(reduction=4)), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)
    model = trained(nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), conv, norm, block, conv, norm, block))
    report = assert_same(model).report
    assert len(report.norms) == 1
    assert all("more than once" in why for _, why in report.left_norms)
    assert {block.why for block in report.blocks} == {"left, the network calls it more than once"}


def test_the_network_that_was_given_is_neither_changed_nor_shared() -> None:
    model = zoo("resnet20", SESpec(reduction=4)).train()
    before = deepcopy(model.state_dict())
    optimized = optimize(model)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    own = {p.data_ptr() for p in model.parameters()}
    assert not own & {p.data_ptr() for p in optimized.parameters()}
    assert not any(p.requires_grad for p in optimized.parameters())
    assert not optimized.training


def test_the_input_is_never_written() -> None:
    model = nn.Sequential(SqueezeExcite(3, SESpec(reduction=1)), nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU())
    x = images()
    before = x.clone()
    assert_same(model.eval())
    optimize(model.float())(x)
    assert torch.equal(x, before)


def test_gradients_of_the_input_are_those_of_the_network() -> None:
    model = zoo("resnet50", SESpec()).double()
    gradients = []
    for network in (model, optimize(model)):
        x = torch.linspace(0, 1, 3 * 32 * 32).double().view(1, 3, 32, 32).requires_grad_()
        network(x).square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("first", ["cast", "optimize"])
def test_bfloat16_before_or_after_is_as_near_as_bfloat16_alone(first: str) -> None:
    model, x = zoo("resnet20", SESpec(reduction=4)), images()
    half = deepcopy(model).bfloat16()
    optimized = optimize(half) if first == "cast" else optimize(model).bfloat16()
    with torch.no_grad():
        wanted = model(x)
        near = (half(x.bfloat16()) - wanted).norm()
        got = optimized(x.bfloat16())
    assert got.dtype == torch.bfloat16
    assert (got - wanted).norm() < 2 * near


def test_autocast_works() -> None:
    model = zoo("resnet50", SESpec())
    optimized, x = optimize(model), images()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert (optimized(x) - model(x)).norm() / model(x).norm() < 0.05


def test_channels_last_is_kept() -> None:
    optimized = optimize(zoo("resnet50", SESpec())).to(memory_format=CHANNELS_LAST)
    maps: list[bool] = []
    for name, module in optimized.named_modules():
        if name.endswith("se_tail"):
            module.register_forward_hook(
                lambda *given: maps.append(given[2].is_contiguous(memory_format=CHANNELS_LAST))
            )
    with torch.no_grad():
        optimized(images(64).contiguous(memory_format=CHANNELS_LAST))
    assert maps == [True] * 5


@pytest.mark.parametrize("way", [deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"])
def test_copies_and_pickles_give_the_same_bits(way: Callable[[nn.Module], nn.Module]) -> None:
    optimized, x = optimize(zoo("resnet20", SESpec(reduction=4))), images()
    again = way(optimized)
    assert torch.equal(again(x), optimized(x))
    assert again.report == optimized.report


def test_the_state_dict_loads_into_another_one() -> None:
    first, second = (optimize(zoo("resnet20", SESpec(reduction=4))) for _ in range(2))
    x = images()
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


def test_torch_export_takes_batches_of_any_size() -> None:
    model = zoo("resnet50", SESpec())
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(optimize(model), (images(),), dynamic_shapes={"x": {0: batch}})
    exported = program.module()
    for count in (1, 2, 5):
        assert error(model, exported, images(count=count)) < 1e-5


@pytest.mark.slow
def test_onnx_gives_the_same_logits(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra `export`)")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `export`)")
    model, file = zoo("resnet50", SESpec()), tmp_path / "model.onnx"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.onnx.export(optimize(model), (images(),), file, dynamo=True, dynamic_shapes={"x": {0: batch}}, verbose=False)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for count in (1, 2, 5):
        x = images(count=count)
        (got,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        wanted = model(x).detach()
        assert (torch.from_numpy(got) - wanted).norm() / wanted.norm() < 1e-5


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU()), "nothing to optimize"),
        (SqueezeExcite(16), "is a single block"),
    ],
)
def test_nothing_to_optimize_is_refused_in_one_line(model: nn.Module, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        optimize(model)
    assert "\n" not in str(caught.value)


def test_an_optimized_network_is_refused() -> None:
    with pytest.raises(SpecError, match="is already optimized"):
        optimize(optimize(zoo("resnet20")))


class Fickle(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_branches_on_values_is_refused_in_one_line() -> None:
    with pytest.raises(SpecError, match=r"Fickle cannot be traced .* pass a network") as caught:
        optimize(Fickle())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_the_end_of_a_unit_is_its_formula_in_any_memory(gated: bool, summed: bool, own: bool) -> None:
    u, s, r = torch.randn(2, 4, 5, 5), torch.rand(2, 4, 1, 1), torch.randn(2, 4, 5, 5)
    wanted = torch.relu((s if gated else 1) * u + (r if summed else 0))
    before, shortcut = u.clone(), r.clone()
    got = finish(u, s if gated else None, r if summed else None, rectify=True, own=own)
    torch.testing.assert_close(got, wanted)
    assert torch.equal(r, shortcut)
    assert (got.data_ptr() == u.data_ptr()) == own
    assert own or torch.equal(u, before)


@pytest.mark.usefixtures("unchecked")
def test_an_accelerated_network_is_optimized_like_an_ordinary_one() -> None:
    ordinary = create_model("resnet8", se=SESpec(reduction=4)).double().eval()
    fused = deepcopy(ordinary)
    accelerate(fused, backend="reference")
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    done = optimize(fused)
    torch.testing.assert_close(done(x), ordinary(x))
    assert done.report == optimize(ordinary).report
