"""Our block under torch.fx: feature extraction, quantisation and other people's rewriting; and with pruned channels."""

import copy
import itertools
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from senet import SESpec, SqueezeExcite, create_model, find, insert
from senet.errors import SpecError
from senet.kinds import KINDS
from senet.nn.gate import GATES
from senet.nn.nested import NestedSqueezeExcite
from senet.nn.squeeze import SQUEEZES
from senet.spec import VARIANTS

pytestmark = pytest.mark.usefixtures("unchecked")  # a stand-in for a tensor is not a tensor


def same(block: nn.Module, x: Tensor) -> None:
    traced = fx.symbolic_trace(block)
    torch.testing.assert_close(traced(x), block(x), rtol=1e-6, atol=1e-6)
    for size in (3, 9):  # no size is baked in
        y = torch.randn(2, x.shape[1], *[size] * (x.ndim - 2), dtype=x.dtype)
        torch.testing.assert_close(traced(y), block(y), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("variant", "squeeze"), list(itertools.product(VARIANTS, ("avg", "max", "none"))))
def test_every_variant_and_squeeze_is_traced(variant: str, squeeze: str) -> None:
    try:
        spec = SESpec(variant=variant, squeeze=squeeze, reduction=4)
    except SpecError:
        pytest.skip("such a design does not exist")
    same(SqueezeExcite(16, spec), torch.randn(2, 16, 5, 5))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"fca"}))
def test_every_kind_is_traced_except_the_cosine_transform_whose_basis_depends_on_the_size(kind: str) -> None:
    same(SqueezeExcite(16, SESpec.kind(kind).but(reduction=4)).eval(), torch.randn(2, 16, 5, 5))
    with pytest.raises(SpecError, match=r"squeeze = 'dct' needs the sizes of the map.*use torch\.export"):
        fx.symbolic_trace(SqueezeExcite(16, SESpec.kind("fca")))


@pytest.mark.parametrize("gate", GATES)
def test_every_gate_is_traced(gate: str) -> None:
    same(SqueezeExcite(16, SESpec(gate=gate, reduction=4)), torch.randn(2, 16, 5, 5))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("squeeze", sorted(SQUEEZES.keys() - {"avg_std"}))
def test_maps_of_every_number_of_dimensions_are_traced(dims: int, squeeze: str) -> None:
    block = SqueezeExcite(16, SESpec(reduction=4, squeeze=squeeze), dims=dims)
    same(block, torch.randn(2, 16, *[5] * dims))


@pytest.mark.parametrize(
    "block",
    [
        SqueezeExcite(16, excitation=nn.Conv2d(16, 16, 1)),
        SqueezeExcite(16, SESpec(squeeze=lambda x: x.std((2, 3), keepdim=True), reduction=4)),
        NestedSqueezeExcite(16, [SESpec(reduction=2), SESpec(reduction=8)]),
        SqueezeExcite(16, SESpec(bias=False, activation="gelu")).double(),
    ],
)
def test_parts_of_ones_own_are_traced(block: nn.Module) -> None:
    same(block, torch.randn(2, 16, 5, 5, dtype=next(block.parameters()).dtype))


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v1", "cnn3"])
def test_whole_networks_are_traced_built_or_inserted(name: str) -> None:
    for model in (create_model(name, se=SESpec(reduction=4)), create_model(name)):
        if not find(model):
            insert(model, SESpec(reduction=4), shape=(1, 3, 32, 32))
        model.eval()
        x = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(fx.symbolic_trace(model)(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_features_of_torchvision_and_timm_are_extracted() -> None:
    pytest.importorskip("torchvision")
    timm = pytest.importorskip("timm")
    from torchvision.models.feature_extraction import create_feature_extractor

    model = create_model("resnet8", se=SESpec(reduction=4)).eval()
    maps = create_feature_extractor(model, ["stage2"])(torch.rand(1, 3, 32, 32))["stage2"]
    assert maps.shape == (1, 32, 16, 16)
    host = timm.create_model("efficientnet_lite0")  # its norms are not leaves
    insert(host, SESpec(reduction=4), shape=(1, 3, 64, 64))
    fx.symbolic_trace(host)


@pytest.mark.slow
def test_quantisation_takes_the_block_as_it_takes_timms() -> None:
    timm = pytest.importorskip("timm")
    quantize = pytest.importorskip("torch.ao.quantization.quantize_fx")
    from torch.ao.quantization import get_default_qconfig_mapping

    x = torch.randn(4, 3, 16, 16)
    for block in (SqueezeExcite(16, SESpec(reduction=4)), timm.layers.SqueezeExcite(16, rd_channels=4)):
        model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), block, nn.Conv2d(16, 4, 1)).eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ready = quantize.prepare_fx(copy.deepcopy(model), get_default_qconfig_mapping("x86"), (x,))
            ready(x)
            int8 = quantize.convert_fx(ready)
        apart = (int8(x) - model(x)).abs().max() / model(x).abs().max()
        assert apart < 0.05
        assert sum("quantized" in type(module).__module__ for module in int8.modules()) >= 3


def cut(layer: nn.Module, dim: int, keep: int, *, tidy: bool = False) -> None:
    layer.weight = nn.Parameter(layer.weight.data.narrow(dim, 0, keep))  # type: ignore[operator,union-attr]
    if dim == 0 and layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.data[:keep])  # type: ignore[index]
    if tidy:
        setattr(layer, ("out_channels", "in_channels")[dim], keep)


@pytest.mark.parametrize("tidy", [False, True])
@pytest.mark.parametrize("variant", ["standard", "slow_both", "bump"])
@pytest.mark.parametrize("hidden", [4, 2])
def test_a_block_whose_channels_were_pruned_runs_and_is_found_as_it_is(variant: str, hidden: int, tidy: bool) -> None:
    block = SqueezeExcite(16, SESpec(reduction=4, variant=variant))
    first, second, last = block.fc1, block.fc2, block.get_submodule(block.layers[-1])
    cut(first, 1, 10, tidy=tidy)
    cut(last, 0, 10, tidy=tidy)
    if hidden < first.weight.shape[0] and variant == "standard":
        cut(first, 0, hidden, tidy=tidy)
        cut(second, 1, hidden, tidy=tidy)
    x = torch.randn(2, 10, 5, 5)
    assert block(x).shape == x.shape
    assert fx.symbolic_trace(block)(x).shape == x.shape
    (found,) = find(nn.Sequential(block))
    assert found.channels == found.widths[0] == found.widths[-1] == 10
    assert found.widths[1] == first.weight.shape[0]
    with pytest.raises(SpecError, match="does not fit a block of 10 channels"):
        block(torch.randn(2, 16, 5, 5))


def test_foreign_blocks_are_found_with_the_widths_they_have_now() -> None:
    timm = pytest.importorskip("timm")
    block = timm.layers.SqueezeExcite(16, rd_channels=4)
    cut(block.fc1, 1, 6)
    cut(block.fc2, 0, 6)
    assert find(nn.Sequential(block))[0].widths == (6, 4, 6)


@pytest.mark.parametrize("replaced", [nn.Sequential(nn.Conv2d(16, 4, 1)), nn.Identity()])
def test_a_layer_of_ones_own_in_place_of_another_keeps_the_planned_widths(replaced: nn.Module) -> None:
    block = SqueezeExcite(16, SESpec(reduction=4))
    block.fc1 = replaced
    assert block.widths == (16, 4, 16)


def test_wrong_maps_are_told_as_before() -> None:
    look: Callable[[Tensor], Tensor] = SqueezeExcite(16)
    for wrong in (torch.randn(2, 8, 4, 4), torch.randn(2, 16), torch.ones(2, 16, 4, 4).int(), torch.rand(2, 16, 0, 4)):
        with pytest.raises(SpecError, match="does not fit a block of 16 channels; pass a floating-point map"):
            look(wrong)
