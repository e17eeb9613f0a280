"""How the networks behave, each family in a small version of itself, and that users may build their own."""

import copy
import io
from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

from senet.errors import SpecError
from senet.models import ZOO, create_model
from senet.nn import SqueezeExcite, no_gates
from senet.spec import SLOTS, SESpec


@dataclass(frozen=True)
class Small:
    """A family of the zoo with little depth: options, side of the input, another side, channels in the end."""

    name: str
    side: int
    other: int
    features: int
    stages: int
    options: dict = field(default_factory=dict)
    residual: bool = True
    blocks: int = 0

    def make(self, se=None, **arguments):
        torch.manual_seed(0)
        size = {"image_size": self.side} if self.name == "vgg16_bn" else {}
        return create_model(self.name, se=se, options=self.options, **{"num_classes": 7, **size, **arguments})

    def images(self, n=4, *, chans=3, side=None):
        return torch.randn(n, chans, side or self.side, side or self.side, generator=torch.Generator().manual_seed(1))


ONE = {"depths": (1, 1, 1)}
VGG = ((16, 16), (16, 16), (24, 24, 24), (32, 32, 32), (32, 32, 32))
FAMILIES = [
    Small("resnet18", 32, 96, 512, 4, {"depths": (1, 1, 1, 1)}, blocks=4),
    Small("resnet50", 32, 33, 512, 4, {"depths": (1, 1, 1, 1), "widths": (16, 32, 64, 128)}, blocks=4),
    Small("resnext50_32x4d", 32, 64, 512, 4, {"depths": (1, 1, 1, 1), "widths": (16, 32, 64, 128)}, blocks=4),
    Small("senet154", 32, 64, 512, 4, {"depths": (1, 1, 1, 1), "widths": (16, 32, 64, 128)}, blocks=4),
    Small("vgg16_bn", 32, 64, 24, 5, {"widths": VGG, "hidden": 24}, residual=False, blocks=13),
    Small("bn_inception", 64, 80, 1024, 3, residual=False, blocks=10),
    Small("inception_resnet_v2", 75, 96, 1536, 3, ONE, blocks=3),
    Small("inception_resnet_v2.figures", 75, 96, 2144, 3, ONE, blocks=3),
    Small("mobilenet_v1", 32, 33, 1024, 5, residual=False, blocks=13),
    Small("shufflenet_v1", 32, 33, 960, 3, {"depths": (2, 2, 2)}, residual=False, blocks=6),
    Small("resnet20", 32, 33, 64, 3, ONE, blocks=3),
    Small("kth_resnet52", 32, 33, 64, 3, ONE, blocks=4),
    Small("preact_resnet110", 32, 33, 64, 3, {"depths": (2, 2, 2)}, blocks=6),
    Small("preact_resnet164", 32, 33, 256, 3, {"depths": (2, 2, 2)}, blocks=6),
    Small("wrn16_8", 32, 33, 64, 3, {"width": 1}, blocks=6),
    Small("shake26_2x96d", 32, 33, 64, 3, {"depth": 14, "width": 16}, blocks=12),
    Small("shake29_2x4x64d", 32, 33, 1024, 3, {"depth": 11, "width": 8}, blocks=6),
]
RESIDUAL = [family for family in FAMILIES if family.residual and not family.name.endswith(".figures")]
PLAIN_SITES = [family for family in FAMILIES if not family.residual]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def settle(network, images):
    """Let the norms take the statistics of a batch, so that a deep network with fresh weights stays in range."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    return network.eval()


def blocks_of(network):
    return [module for module in network.modules() if isinstance(module, SqueezeExcite)]


def assert_trains(network, images):
    loss = F.cross_entropy(network.train()(images), torch.arange(len(images)) % 7)
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.slow
@every_family
@pytest.mark.parametrize("se", [None, SESpec(reduction=4)], ids=["plain", "se"])
def test_every_parameter_gets_a_gradient(family, se):
    network = family.make(se)
    assert len(blocks_of(network)) == (family.blocks if se else 0)
    assert_trains(network, family.images())


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_every_parameter_of_the_whole_network_gets_a_gradient(name):
    torch.manual_seed(0)
    leaky = SESpec(reduction=4, activation="leaky_relu")  # with ReLU, 4 hidden units may all be 0 for 4 images
    network = create_model(name, se=leaky, num_classes=7)
    side = 96 if name.startswith("inception_resnet") else 32 if network.num_features < 500 or "resnet18" in name else 64
    assert_trains(network, torch.randn(4, 3, side, side))


@pytest.mark.slow
@every_family
def test_memory_format_does_not_change_the_logits(family):
    images = family.images()
    network = settle(family.make(SESpec(reduction=4)), images)
    with torch.no_grad():
        expected = network(images)
        found = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@every_family
def test_half_precision_is_finite(family):
    network = family.make(SESpec(reduction=4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(family.images())
        loss = F.cross_entropy(logits, torch.arange(4))
    loss.backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.slow
@every_family
def test_a_copy_gives_the_same_logits(family):
    network = family.make(SESpec(reduction=4)).eval()
    images = family.images(1)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(network)(images), network(images))


@every_family
@pytest.mark.parametrize("chans", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_no_classes_give_the_features_of_an_input_of_any_channels(family, chans):
    network = family.make(num_classes=0, in_chans=chans).eval()
    assert network.num_features == family.features
    with torch.no_grad():
        assert network(family.images(1, chans=chans)).shape == (1, family.features)


EXPORTED = "resnet20"  # the others take long and show nothing new


@pytest.mark.parametrize(
    "family",
    [pytest.param(f, id=f.name, marks=() if f.name == EXPORTED else pytest.mark.slow) for f in FAMILIES],
)
def test_export_keeps_the_logits(family):
    images = family.images(2)
    network = settle(family.make(SESpec(reduction=4)), images)
    stream = io.BytesIO()
    torch.export.save(torch.export.export(network, (images,)), stream)
    stream.seek(0)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.load(stream).module()(images), network(images), rtol=1e-5, atol=1e-5)


class BlocksAreLeaves(torch.fx.Tracer):
    def is_leaf_module(self, module, name):
        return isinstance(module, SqueezeExcite) or super().is_leaf_module(module, name)


TRACED = ("resnet50", "bn_inception", "shufflenet_v1", "preact_resnet164", "shake29_2x4x64d")  # one of each kind


@pytest.mark.parametrize(
    "family", [pytest.param(f, id=f.name, marks=() if f.name in TRACED else pytest.mark.slow) for f in FAMILIES]
)
@pytest.mark.usefixtures("unchecked")  # a tracer's proxies are no tensors
def test_a_traced_graph_gives_the_same_logits_at_every_size(family):
    network = family.make(SESpec(reduction=4)).eval()
    traced = torch.fx.GraphModule(network, BlocksAreLeaves().trace(network))
    for side in (family.side, family.other):
        images = family.images(1, side=side)
        with torch.no_grad():
            wanted = network(images)
            assert wanted.shape == (1, 7)
            assert torch.equal(traced(images), wanted)


@every_family
def test_every_stage_has_its_own_ratio_and_others_are_refused_by_name(family):
    ratios = (2, 4, 8, 4, 2)[: family.stages]
    with torch.device("meta"):
        network = family.make(SESpec(reduction=ratios))
    for stage, ratio in enumerate(ratios, 1):
        for block in blocks_of(getattr(network, f"stage{stage}")):
            assert block.widths[1] == block.channels // ratio
    full = family.name.split(".")[0]
    with pytest.raises(SpecError) as caught, torch.device("meta"):
        create_model(family.name, se=SESpec(reduction=(8, 2)))
    assert str(caught.value) == (
        f"reduction = (8, 2) names 2 stages, {full} has {family.stages}; give one ratio, or {family.stages}."
    )
    with pytest.raises(SpecError, match=f"goes past the {family.stages} stages of "), torch.device("meta"):
        family.make(SESpec(stages=(family.stages + 1,)))


@pytest.mark.parametrize("family", PLAIN_SITES, ids=lambda family: family.name)
def test_networks_that_are_not_residual_have_the_standard_slot_only(family):
    for slot in set(SLOTS) - {"standard"}:
        with pytest.raises(SpecError) as caught, torch.device("meta"):
            family.make(SESpec(slot=slot))
        assert str(caught.value) == f"slot = '{slot}' does not exist in {family.name}; choose one of: standard."


@pytest.mark.parametrize("family", PLAIN_SITES, ids=lambda family: family.name)
def test_blocks_of_the_user_in_a_slot_that_does_not_exist_are_refused(family):
    with pytest.raises(SpecError, match=r"gates = \['pre'\] is not a slot of .*; choose one of: standard."):
        family.make(lambda site: {"pre": nn.Identity()})


def blocks_in(family, slot):
    if family.name.startswith("kth") and slot != "standard":
        return family.blocks - 1  # the stem has the standard slot only
    if family.name.startswith("shake") and slot not in ("standard", "inner"):
        return family.blocks // 2  # of the unit, not of each branch
    return family.blocks


@pytest.mark.parametrize("family", RESIDUAL, ids=lambda family: family.name)
def test_residual_networks_have_all_slots(family):
    network = family.make([SESpec(slot=slot, reduction=4) for slot in SLOTS]).eval()
    blocks = {name: module for name, module in network.named_modules() if isinstance(module, SqueezeExcite)}
    found = Counter(name.rpartition(".")[2] for name in blocks)
    assert found == {"se" if slot == "standard" else f"se_{slot}": blocks_in(family, slot) for slot in SLOTS}
    reached = []
    for name, block in blocks.items():
        block.register_forward_hook(lambda *_, name=name: reached.append(name))
    with torch.no_grad():
        network(family.images(1))
    assert sorted(reached) == sorted(blocks), "each block runs once"


def inputs_of_blocks(family):
    """Return the maps that the blocks of a network in training see."""
    network, seen = family.make(SESpec(reduction=4)), []
    for block in blocks_of(network):
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network.train()(family.images())
    return seen


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.name in ("vgg16_bn", "bn_inception", "mobilenet_v1")], ids=lambda f: f.name
)
def test_blocks_of_plain_networks_sit_after_the_relu(family):
    seen = inputs_of_blocks(family)
    assert len(seen) == family.blocks
    assert all(x.min() == 0 and x.max() > 0 for x in seen)


@pytest.mark.parametrize(
    "family",
    [f for f in FAMILIES if f.name.split("_")[0] in ("resnext50", "senet154", "shufflenet", "shake26", "shake29")],
    ids=lambda f: f.name,
)
def test_blocks_of_residual_branches_sit_after_the_last_norm(family):
    seen = inputs_of_blocks(family)
    assert len(seen) == family.blocks
    for x in seen:
        assert x.mean(dim=(0, 2, 3)).abs().max() < 1e-5
        assert x.min() < 0


def test_a_block_of_inception_resnet_sits_before_the_scale():
    network = create_model("inception_resnet_v2", se=SESpec(), options=ONE | {"depths": (1, 1, 2)})
    assert list(dict(network.stage3.unit1.branch.named_children())) == ["mixed", "conv", "se", "scale"]
    assert [network.stage1.unit1.branch.scale.factor, network.stage2.unit1.branch.scale.factor] == [0.17, 0.10]
    last = network.stage3.unit2
    assert list(dict(last.branch.named_children())) == ["mixed", "conv", "se"]
    assert last.act is None
    assert network.stage3.unit1.act is not None


def test_a_function_of_the_user_serves_every_family():
    for family in FAMILIES:
        with torch.device("meta"):
            assert blocks_of(family.make(no_gates)) == []


# users' own depth, width, cardinality and stages: family, arguments, side, features
OWN = [
    ("resnet50", {"depths": (1, 2), "widths": (8, 16)}, 32, 64),
    ("resnet50", {"depths": (1, 1, 1), "widths": (8, 16, 32), "unit": "basic", "stem_kind": "cifar"}, 32, 32),
    ("resnet50", {"depths": (1, 1), "widths": (16, 32), "cardinality": 2, "group_width": 8}, 32, 128),
    ("resnet20", {"depths": (1, 1), "widths": (8, 12)}, 32, 12),
    ("senet154", {"depths": (1, 1), "widths": (8, 16), "cardinality": 4, "group_width": 2}, 32, 64),
    ("vgg16_bn", {"widths": ((8,), (12, 16)), "hidden": 20, "image_size": 32}, 32, 20),
    ("bn_inception", {"modules": (((8, (8, 8), (8, 8), "max", 8), (0, (4, 8), (4, 8), "halve", 0)),)}, 32, 48),
    ("inception_resnet_v2", {"depths": (1, 0, 1)}, 75, 1536),
    ("mobilenet_v1", {"depths": (1, 1), "widths": (12, 20), "stem_width": 6}, 32, 20),
    ("shufflenet_v1", {"groups": 4, "widths": (272, 544, 1088), "depths": (1, 2, 1)}, 32, 1088),
    ("shufflenet_v1", {"groups": 2, "widths": (40, 80), "depths": (2, 1), "stem_width": 8}, 32, 80),
    ("kth_resnet52", {"depths": (1, 2), "widths": (8, 16)}, 32, 16),
    ("preact_resnet164", {"depths": (1, 2), "widths": (8, 16), "shortcut": "A"}, 32, 64),
    ("wrn16_8", {"depth": 10, "width": 2}, 32, 128),
    ("shake26_2x96d", {"depth": 8, "width": 8}, 32, 32),
    ("shake29_2x4x64d", {"depth": 11, "groups": 2, "width": 4}, 32, 1024),
]


@pytest.mark.parametrize(("name", "options", "side", "features"), OWN)
def test_users_build_their_own(name, options, side, features):
    network = create_model(name, se=SESpec(reduction=2), options=options, num_classes=0)
    assert network.num_features == features
    with torch.no_grad():
        assert network.eval()(torch.randn(1, 3, side, side)).shape == (1, features)


# wrong arguments: family, arguments, what the error says
WRONG = [
    ("resnet50", {"unit": "botleneck"}, "unit = 'botleneck' is not known; .* Did you mean 'bottleneck'?"),
    ("resnet50", {"stride_in": "5x5"}, "stride_in = '5x5' is not known"),
    ("resnet50", {"stem_kind": "tf"}, "stem_kind = 'tf' is not known"),
    ("resnet50", {"depths": (1, 2)}, r"depths = \(1, 2\) has 2 stages, the widths have 4; use as many of each"),
    ("resnet50", {"depths": (1, 0, 1, 1)}, "leaves a stage without units"),
    ("resnet18", {"cardinality": 2}, "cardinality = 2 does not fit unit = 'basic'"),
    ("resnet20", {"shortcut": "C"}, "shortcut = 'C' is not known; choose one of: A, B"),
    ("bn_inception", {"modules": (((8, (8, 8), (8, 8), "mean", 8),),)}, "modules: pool = 'mean' is not known"),
    ("inception_resnet_v2", {"reading": "slip"}, "reading = 'slip' is not known; .* Did you mean 'slim'?"),
    ("inception_resnet_v2", {"depths": (1, 1)}, r"depths = \(1, 1\) has 2 stages; use 3"),
    ("shufflenet_v1", {"groups": 8}, "240 after 24 does not split into 8 groups; use increasing multiples of 32"),
    ("preact_resnet110", {"unit": "wide"}, "unit = 'wide' is not known"),
    ("preact_resnet110", {"shortcut": "C"}, "shortcut = 'C' is not known"),
    ("wrn16_8", {"depth": 17}, "depth = 17 is not 6n [+] 4; choose one of: 10, 16"),
    ("shake26_2x96d", {"depth": 25}, "depth = 25 is not 6n [+] 2"),
    ("shake26_2x96d", {"se_on": "both"}, "se_on = 'both' is not known; choose one of: branch, sum"),
    ("shake26_2x96d", {"forward_noise": "keep"}, "forward_noise = 'keep' is not known; choose one of: even, shake"),
    ("shake29_2x4x64d", {"backward_noise": "odd"}, "backward_noise = 'odd' is not known"),
    ("shake29_2x4x64d", {"depth": 26}, "depth = 26 is not 9n [+] 2"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_wrong_arguments_are_refused_in_one_sentence(name, options, message):
    with pytest.raises(SpecError, match=message) as caught, torch.device("meta"):
        create_model(name, options=options)
    assert f"while building {name}" in caught.value.__notes__
