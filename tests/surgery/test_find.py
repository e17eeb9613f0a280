"""What counts as a squeeze-and-excitation block."""

import ast
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from senet.models import create_model
from senet.nn import SqueezeExcite
from senet.spec import VARIANTS, SESpec
from senet.surgery import find

SOURCE = Path(__file__).parents[2] / "src" / "senet" / "surgery" / "finding" / "find.py"


def block(title: str, *layers: nn.Module, package: str = "mypackage.blocks") -> nn.Module:
    """Make a module of a class `package.title` with these layers."""
    module = type(title, (nn.Module,), {"__module__": package})()
    for number, layer in enumerate(layers):
        module.add_module(f"layer{number}", layer)
    return module


def linears(*widths: int) -> nn.Sequential:
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers, nn.Sigmoid())


def convs(*widths: int, kernel: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(a, b, kernel) for a, b in pairwise(widths)]


def test_our_blocks_are_found_with_name_widths_and_class():
    with torch.device("meta"):
        found = find(create_model("resnet50", se=SESpec()))
    assert len(found) == 16
    assert found[0].name == "stage1.unit1.se"
    assert (found[0].channels, found[0].widths) == (256, (256, 16, 256))
    assert found[-1].channels == 2048
    assert {(one.kind, one.module_class) for one in found} == {("senet", SqueezeExcite)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_found_with_its_widths(variant):
    spec = SESpec(variant=variant)
    assert [one.widths for one in find(SqueezeExcite(64, spec))] == [spec.widths(64)]


def test_a_block_alone_has_the_empty_name():
    model = SqueezeExcite(64)
    (found,) = find(model)
    assert found.name == ""
    assert model.get_submodule(found.name) is model


def test_a_plain_network_has_no_blocks():
    with torch.device("meta"):
        assert find(create_model("resnet50")) == ()


def test_a_shared_block_is_found_once():
    se = SqueezeExcite(16)
    assert [one.name for one in find(nn.Sequential(se, nn.ReLU(), se))] == ["0"]


def test_an_excitation_of_your_own_is_not_searched_for_more_blocks():
    model = SqueezeExcite(16, excitation=block("SELayer", *convs(16, 4, 16)))
    assert [one.kind for one in find(model)] == ["senet"]


@pytest.mark.parametrize(
    "title",
    [
        "SELayer",
        "SEModule",
        "SEBlock",
        "SEUnit",
        "SE_Block",
        "se_layer",
        "SE",
        "SELayer3D",
        "ChannelSELayer",
        "ResidualSELayer",
        "SqueezeExcite",
        "SqueezeExcitation",
        "SqueezeAndExcitation",
        "SqueezeExciteBlock",
        "SqueezeExciteCl",
    ],
)
def test_the_usual_names_are_known_with_linear_and_convolutional_layers(title):
    for module in (block(title, linears(32, 8, 32)), block(title, *convs(32, 8, 32))):
        (found,) = find(module)
        assert (found.widths, found.kind, found.module_class) == ((32, 8, 32), "other", type(module))


@pytest.mark.parametrize(
    ("package", "kind"),
    [
        ("timm.layers.squeeze_excite", "timm"),
        ("torchvision.ops.misc", "torchvision"),
        ("monai.networks.blocks.squeeze_and_excitation", "monai"),
        ("pytorchcv.models.common", "other"),
        ("mmpretrain.models.utils.se_layer", "other"),
        ("timmy", "other"),
    ],
)
def test_the_kind_is_the_package_of_the_class(package, kind):
    (found,) = find(block("SELayer", linears(32, 8, 32), package=package))
    assert found.kind == kind


def test_effective_se_has_one_layer_and_counts():
    assert [one.widths for one in find(block("EffectiveSEModule", *convs(32, 32)))] == [(32, 32)]
    assert find(block("SEModule", *convs(32, 32))) == ()


def test_norms_and_activations_inside_a_block_do_not_matter():
    model = block("SEModule", nn.Conv2d(32, 8, 1), nn.BatchNorm2d(8), nn.PReLU(), nn.Conv2d(8, 32, 1))
    assert [one.widths for one in find(model)] == [(32, 8, 32)]


@pytest.mark.parametrize(
    "layers",
    [
        [],
        convs(32, 8, 16),
        [nn.Conv2d(32, 8, 1), nn.Conv2d(4, 32, 1)],
        convs(32, 8, 32, kernel=3),
        [nn.Conv2d(32, 8, 1, groups=2), nn.Conv2d(8, 32, 1)],
    ],
)
def test_a_name_without_the_layers_is_no_block(layers):
    assert find(block("SEBlock", *layers)) == ()


@pytest.mark.parametrize("title", ["ChannelAttn", "ChannelGate", "GatherExcite", "GlobalContext", "Separable", "Senet"])
def test_the_layers_without_the_name_are_no_block(title):
    assert find(block(title, *convs(32, 8, 32))) == ()


def test_a_residual_unit_called_se_block_gives_the_block_inside_it():
    unit = block("SEBlock", nn.Conv2d(32, 32, 3), block("ChannelSELayer", linears(32, 8, 32)))
    assert [one.name for one in find(unit)] == ["layer1"]
    pointwise = block("SEUnit", *convs(32, 8, 32), block("SELayer", linears(32, 8, 32)))
    assert [one.name for one in find(pointwise)] == ["layer2"]


def test_finding_imports_no_foreign_library():
    tree = ast.parse(SOURCE.read_text("utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.partition(".")[0] for name in modules} <= {"senet", "torch", *sys.stdlib_module_names}


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "title", "number"),
    [
        pytest.param("resnet50", "", 0, marks=pytest.mark.slow),
        pytest.param("convnext_tiny", "", 0, marks=pytest.mark.slow),
        pytest.param("ecaresnet50d", "EcaModule", 16, marks=pytest.mark.slow),
        pytest.param("gcresnet33ts", "GlobalContext", 10, marks=pytest.mark.slow),
        ("resnest14d", "", 0),
        ("tf_mobilenetv3_small_100", "SqueezeExcite", 9),
        pytest.param("seresnet50", "SEModule", 16, marks=pytest.mark.slow),
        ("legacy_seresnet18", "SEModule", 8),
        pytest.param("efficientnet_b0", "SqueezeExcite", 16, marks=pytest.mark.slow),
        pytest.param("regnety_004", "SEModule", 16, marks=pytest.mark.slow),
        ("ese_vovnet19b_dw", "EffectiveSEModule", 4),
        pytest.param("hgnet_tiny", "EseModule", 5, marks=pytest.mark.slow),
    ],
)
def test_the_blocks_of_timm_networks(name, title, number):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        found = find(timm.create_model(name))
    assert [(one.kind, one.module_class.__name__) for one in found] == [("timm", title)] * number


@pytest.mark.parity
@pytest.mark.parametrize("gate", ["splat", "sk", "bat"])
def test_other_gates_of_timm_are_no_blocks(gate):
    layers = pytest.importorskip("timm.layers")
    assert find(layers.get_attn(gate)(64)) == ()


@pytest.mark.parity
@pytest.mark.parametrize(
    ("gate", "name", "title", "widths"),
    [
        ("eca", "1", "EcaModule", (64, 64)),
        ("ceca", "1", "CecaModule", (64, 64)),
        ("ese", "1", "EffectiveSEModule", (64, 64)),
        ("cbam", "1.channel", "ChannelAttn", (64, 4, 64)),
        ("lcbam", "1.channel", "LightChannelAttn", (64, 4, 64)),
        ("gc", "1", "GlobalContext", (64, 8, 64)),
    ],
)
def test_the_other_kinds_of_timm_are_found(gate, name, title, widths):
    layers = pytest.importorskip("timm.layers")
    (found,) = find(nn.Sequential(nn.Conv2d(3, 64, 3), layers.get_attn(gate)(64)))
    assert (found.name, found.module_class.__name__, found.widths, found.kind) == (name, title, widths, "timm")


@pytest.mark.parity
def test_global_context_that_adds_is_found_as_such_and_one_that_does_both_is_not():
    layers = pytest.importorskip("timm.layers")
    (found,) = find(layers.GlobalContext(64, fuse_add=True, fuse_scale=False))
    assert (found.adds, found.left) == (True, "it adds to the map instead of scaling it")
    assert find(layers.GlobalContext(64, fuse_add=True)) == ()
    assert find(SqueezeExcite(64, SESpec.parse("gc:gate=add")))[0].adds


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("mobilenet_v3_small", 9),
        *(
            pytest.param(name, number, marks=pytest.mark.slow)
            for name, number in (("resnet50", 0), ("efficientnet_b0", 16), ("regnet_y_400mf", 16))
        ),
    ],
)
def test_the_blocks_of_torchvision_networks(name, number):
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        found = find(models.get_model(name))
    assert [(one.kind, one.module_class.__name__) for one in found] == [("torchvision", "SqueezeExcitation")] * number
