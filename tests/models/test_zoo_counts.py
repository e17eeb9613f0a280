"""The published and recomputed integers of every network: parameters, and multiply-adds of one image."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from senet.models import create_model
from senet.nn import SqueezeExcite
from senet.spec import SESpec

pytestmark = pytest.mark.filterwarnings("ignore:reduction = .* exceeds")  # r = 16 or 32 on the 16 channels of CIFAR

FREE = SESpec(bias=False)
BIASED = SESpec()
A = {"shortcut": "A"}


def params(name, se=None, *, num_classes=None, **options):
    with torch.device("meta"):
        network = create_model(name, se=se, num_classes=num_classes, options=options)
    return sum(p.numel() for p in network.parameters())


def counted(name, se, *, num_classes=None, **options):
    """Return parameters of a network (all, without the biases of blocks, without blocks), and the number of blocks."""
    with torch.device("meta"):
        network = create_model(name, se=se, num_classes=num_classes, options=options)
    blocks = [dict(module.named_parameters()) for module in network.modules() if isinstance(module, SqueezeExcite)]
    total = sum(p.numel() for p in network.parameters())
    biases = sum(p.numel() for block in blocks for key, p in block.items() if key.endswith("bias"))
    return total, total - biases, total - sum(p.numel() for block in blocks for p in block.values()), len(blocks)


def macs(name, se=None, *, side, num_classes=None, **options):
    with torch.device("meta"):
        network = create_model(name, se=se, num_classes=num_classes, options=options).eval()
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            network(torch.empty(1, 3, side, side))
    return counter.get_total_flops() // 2


# name, classes, options, plain, with SE r = 16 without and with bias
COUNTS = [
    ("resnet18", 1000, {}, 11_689_512, 11_776_552, 11_778_592),
    ("resnet18", 100, {}, 11_227_812, 11_314_852, 11_316_892),
    ("resnet18", 10, {}, 11_181_642, 11_268_682, 11_270_722),
    ("resnet50", 1000, {}, 25_557_032, 28_071_976, 28_088_024),
    ("resnet50.v15", 1000, {}, 25_557_032, 28_071_976, 28_088_024),
    ("resnet101", 1000, {}, 44_549_160, 49_292_328, 49_326_872),
    ("resnet152", 1000, {}, 60_192_808, 66_770_984, 66_821_848),
    ("resnext50_32x4d", 1000, {}, 25_028_904, 27_543_848, 27_559_896),
    ("resnext101_32x4d", 1000, {}, 44_177_704, 48_920_872, 48_955_416),
    ("vgg16_bn", 1000, {}, 138_365_992, 138_592_296, 138_596_784),
    ("bn_inception", 1000, {}, 11_285_224, 11_924_584, 11_931_622),
    ("inception_resnet_v2", 1000, {}, 55_843_464, 64_338_824, 64_387_444),
    ("inception_resnet_v2.figures", 1000, {}, 32_433_928, 37_057_928, 37_083_598),
    ("mobilenet_v1", 1000, {}, 4_231_976, 4_711_720, 4_718_044),
    ("shufflenet_v1", 1000, {}, 1_865_728, 2_476_144, 2_484_533),
    ("senet154", 1000, {}, 108_459_944, 115_038_120, 115_088_984),
    ("preact_resnet110", 10, {}, 1_730_522, 1_742_618, 1_744_760),
    ("preact_resnet110", 100, {}, 1_736_372, 1_748_468, 1_750_610),
    ("preact_resnet110", 10, A, 1_727_962, 1_740_058, 1_742_200),
    ("preact_resnet110", 100, A, 1_733_812, 1_745_908, 1_748_050),
    ("resnet110", 10, {}, 1_727_962, 1_740_058, 1_742_200),
    ("resnet110", 100, {}, 1_733_812, 1_745_908, 1_748_050),
    ("preact_resnet164", 10, {}, 1_703_258, 1_896_794, 1_905_362),
    ("preact_resnet164", 100, {}, 1_726_388, 1_919_924, 1_928_492),
    ("wrn16_8", 10, {}, 10_961_370, 11_047_386, 11_049_290),
    ("wrn16_8", 100, {}, 11_007_540, 11_093_556, 11_095_460),
    ("shake26_2x96d", 10, {}, 26_192_922, 26_386_458, 26_392_170),
    ("shake26_2x96d", 10, {"se_on": "sum"}, 26_192_922, 26_289_690, 26_292_546),
    ("shake29_2x4x64d", 100, {}, 34_529_700, 35_561_892, 35_573_316),
]


BLOCKS = {
    "resnet50": 16,
    "resnext101_32x4d": 33,
    "senet154": 50,
    "vgg16_bn": 13,
    "bn_inception": 10,
    "inception_resnet_v2": 40,
    "inception_resnet_v2.figures": 20,
    "mobilenet_v1": 13,
    "shufflenet_v1": 16,
    "preact_resnet110": 54,
    "preact_resnet164": 54,
    "wrn16_8": 6,
    "shake26_2x96d": 24,
    "shake29_2x4x64d": 18,
}


SLOW = [  # only the classifier differs from a network that is counted anyway, or only the depth
    row
    for i, row in enumerate(COUNTS)
    if any((row[0], row[2]) == (other[0], other[2]) for other in COUNTS[:i])
    or row[0] in ("resnet101", "resnet152", "resnext101_32x4d")
]


@pytest.mark.parametrize(
    ("name", "classes", "options", "plain", "free", "biased"),
    [pytest.param(*row, marks=pytest.mark.slow if row in SLOW else ()) for row in COUNTS],
)
def test_parameters_are_those_of_the_papers(name, classes, options, plain, free, biased):
    *found, blocks = counted(name, BIASED, num_classes=classes, **options)
    assert found == [biased, free, plain]
    if options.get("se_on") != "sum":
        assert blocks == BLOCKS.get(name, blocks), "every unit has its block"


def test_networks_without_biases_and_without_blocks_have_what_is_left_without_them():
    _, _, _, plain, free, biased = COUNTS[0]
    assert (params("resnet18"), params("resnet18", FREE), params("resnet18", BIASED)) == (plain, free, biased)


# ANCHORS section 3d, other libraries: plain and with SE r = 16 with bias
ANCHORS = [
    ("resnet34", {}, 21_797_672, 21_958_868),
    ("resnet110", {"shortcut": "B"}, 1_730_714, 1_744_952),
    ("wrn28_10", {}, 36_479_194, 36_752_754),
]


@pytest.mark.parametrize(("name", "options", "plain", "biased"), ANCHORS)
def test_parameters_are_those_of_other_libraries(name, options, plain, biased):
    total, _, without, _ = counted(name, BIASED, **options)
    assert (total, without) == (biased, plain)


@pytest.mark.parametrize(
    ("name", "num_classes"),
    [("resnet50", 1000), ("preact_resnet110", 10), ("shake29_2x4x64d", 100), ("kth_resnet52", 10)],
)
def test_a_network_has_the_classes_of_its_data_set_by_default(name, num_classes):
    with torch.device("meta"):
        assert create_model(name).get_classifier().out_features == num_classes


# the ablations on ResNet-50: changes of the spec, without and with bias, print in millions
ABLATIONS = [
    ("r2", {"reduction": 2}, 45_676_584, 45_699_240, 45.7),
    ("r4", {"reduction": 4}, 35_616_808, 35_635_688, 35.7),
    ("r8", {"reduction": 8}, 30_586_920, 30_603_912, 30.7),
    ("r16", {"reduction": 16}, 28_071_976, 28_088_024, 28.1),
    ("r32", {"reduction": 32}, 26_814_504, 26_830_080, 26.9),
    ("stage 2", {"stages": (1,)}, 25_581_608, 25_582_424, 25.6),
    ("stage 3", {"stages": (2,)}, 25_688_104, 25_690_280, 25.7),
    ("stage 4", {"stages": (3,)}, 26_343_464, 26_349_992, 26.4),
    ("3x3", {"slot": "inner"}, 25_714_216, 25_718_228, 25.8),
    ("no squeeze", {"squeeze": "none"}, 28_071_976, 28_088_024, 28.1),
    ("max", {"squeeze": "max"}, 28_071_976, 28_088_024, None),
    ("post", {"slot": "post"}, 28_071_976, 28_088_024, None),
    ("identity", {"slot": "identity"}, 28_071_976, 28_088_024, None),
    ("pre", {"slot": "pre"}, 27_548_200, 27_562_140, None),
]


@pytest.mark.parametrize(("row", "changes", "free", "biased", "printed"), ABLATIONS, ids=[row[0] for row in ABLATIONS])
def test_ablations_of_resnet50_have_the_papers_parameters(row, changes, free, biased, printed):
    assert counted("resnet50", BIASED.but(**changes))[:2] == (biased, free)
    if printed is not None:  # what the paper prints is the count with biases, rounded up to 0.1 million
        assert math.ceil(biased / 1e5) / 10 == printed


# what a variant adds to ResNet-18 at r = 16, and what its biases add to that
VARIATIONS = [
    ("standard", "half_ratio", 87_040, 2_040),
    ("slow_squeeze", "half_ratio", 136_000, 2_280),
    ("slow_squeeze", "half_size", 413_440, None),
    ("slow_squeeze", "geometric", 228_480, None),
    ("slow_excite", "half_ratio", 136_000, 2_280),
    ("slow_excite", "half_size", 413_440, None),
    ("slow_excite", "geometric", 228_480, None),
    ("slow_both", "half_ratio", 184_960, 2_520),
    ("slow_both", "half_size", 739_840, None),
    ("slow_both", "geometric", 369_920, None),
    ("bump", "half_ratio", 89_760, 2_160),
]


@pytest.mark.parametrize(("variant", "rule", "weights", "biases"), VARIATIONS)
def test_variations_add_the_weights_of_their_formulas_to_resnet18(variant, rule, weights, biases):
    total, free, plain, _ = counted("resnet18", BIASED.but(variant=variant, slow_rule=rule))
    assert (plain, free - plain) == (11_689_512, weights)
    if biases is not None:
        assert total - free == biases


CNN3 = [
    (None, 2_127_210, 31.3),
    ("standard", 2_118_090, 21.86),
    ("slow_squeeze", 2_118_162, 21.86),
    ("slow_excite", 2_118_162, 21.86),
    ("slow_both", 2_118_234, 21.86),
    ("bump", 2_118_094, 21.86),
]


@pytest.mark.parametrize(("variant", "count", "mmacs"), CNN3)
def test_the_3_layer_cnn_loses_its_middle_convolution_to_the_module(variant, count, mmacs):
    spec = FREE.but(variant=variant) if variant else None
    assert params("cnn3", spec) == count
    digits = 1 if variant is None else 2
    assert round(macs("cnn3", spec, side=32) / 1e6, digits) == mmacs


# schemes of reduction ratios, as the authors' code builds the network
KTH = {
    None: 760_266,
    (16, 16, 16): 766_643,
    (8, 8, 8): 772_108,
    (4, 4, 4): 783_038,
    (2, 2, 2): 804_898,
    (2, 8, 8): 773_890,
    (4, 8, 8): 772_702,
    (8, 2, 8): 778_348,
    (8, 4, 8): 774_188,
    (8, 16, 8): 771_068,
    (8, 2, 2): 803_116,
    (8, 2, 4): 786_604,
    (8, 2, 16): 774_220,
    (8, 2, 32): 772_156,
}
KTH_PAPER = {None: 760_458, (16, 16, 16): 766_786, (8, 8, 8): 772_218, (8, 2, 16): 774_330}


@pytest.mark.parametrize(("scheme", "count"), KTH.items())
def test_kth_schemes_have_the_parameters_of_the_authors_networks(scheme, count):
    total, *_, blocks = counted("kth_resnet52", SESpec(reduction=scheme) if scheme else None)
    assert (total, blocks) == (count, 25 if scheme else 0)


@pytest.mark.parametrize(("scheme", "count"), KTH_PAPER.items())
def test_kth_schemes_as_their_table_prints_them_have_their_own_count(scheme, count):
    assert params("kth_resnet52.paper", SESpec(reduction=scheme) if scheme else None) == count


# multiply-adds of convolutions and linear layers in units of 1e9, plain and with SE r = 16
GMACS = [
    ("resnet18", 224, 4, 1.8141, 1.8142),
    ("resnet50", 224, 4, 3.8580, 3.8605),
    ("resnet50.v15", 224, 4, 4.0892, 4.0917),
    ("resnet101", 224, 4, 7.5702, 7.5749),
    ("resnet152", 224, 4, 11.2824, 11.2890),
    ("resnext50_32x4d", 224, 4, 4.2305, 4.2330),
    ("resnext101_32x4d", 224, 4, 7.9700, 7.9747),
    ("vgg16_bn", 224, 4, 15.4703, 15.4705),
    ("bn_inception", 224, 4, 2.0326, 2.0332),
    ("inception_resnet_v2", 299, 4, 13.1558, 13.1643),
    ("inception_resnet_v2.figures", 299, 4, 9.2580, 9.2626),
    ("mobilenet_v1", 224, 5, 0.56874, 0.56922),
    ("shufflenet_v1", 224, 5, 0.13746, 0.13807),
    ("senet154", 224, 4, 20.6818, 20.6884),
    ("preact_resnet110", 32, 4, 0.2531, 0.2532),
    ("preact_resnet164", 32, 4, 0.2445, 0.2447),
    ("wrn16_8", 32, 4, 1.5481, 1.5482),
    ("shake26_2x96d", 32, 4, 3.7769, 3.7771),
    ("shake29_2x4x64d", 32, 4, 5.3874, 5.3884),
    ("kth_resnet52", 32, 5, 0.11159, 0.11160),
]


FAST = ("resnet18", "vgg16_bn", "mobilenet_v1", "shufflenet_v1", "wrn16_8")


@pytest.mark.parametrize(
    ("name", "side", "digits", "plain", "gated"),
    [pytest.param(*row, marks=() if row[0] in FAST else pytest.mark.slow) for row in GMACS],
)
def test_multiply_adds_are_those_of_the_papers(name, side, digits, plain, gated):
    assert round(macs(name, side=side) / 1e9, digits) == plain
    assert round(macs(name, FREE, side=side) / 1e9, digits) == gated


def test_multiply_adds_of_a_cifar_image_on_the_imagenet_network():
    assert round(macs("resnet18", side=32, num_classes=10) / 1e6, 1) == 37.0


@pytest.mark.slow
def test_multiply_adds_of_other_readings():
    assert round(macs("preact_resnet110", side=32, shortcut="A") / 1e6, 1) == 252.9
    assert round(macs("resnet18.cifar", side=32, num_classes=10) / 1e6, 1) == 555.4
    assert round(macs("resnet50", FREE.but(squeeze="none"), side=224) / 1e9, 4) == 4.2690


def test_bn_inception_has_the_hidden_widths_of_the_released_network():
    with torch.device("meta"):
        network = create_model("bn_inception", se=SESpec())
    widths = [module.widths for module in network.modules() if isinstance(module, SqueezeExcite)]
    assert [width[0] for width in widths] == [256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024]
    assert [width[1] for width in widths] == [16, 20, 36, 36, 36, 38, 38, 66, 64, 64]


def test_cifar_blocks_have_1_2_and_4_hidden_units():
    with torch.device("meta"):
        network = create_model("preact_resnet110", se=SESpec())
    assert [getattr(network, f"stage{stage}").unit1.se.widths[1] for stage in (1, 2, 3)] == [1, 2, 4]


TIMM = [
    ("legacy_senet154", "senet154", BIASED),
    ("legacy_seresnet50", "resnet50", BIASED),
    ("legacy_seresnet101", "resnet101", BIASED),
    ("legacy_seresnext50_32x4d", "resnext50_32x4d", BIASED),
    ("legacy_seresnext101_32x4d", "resnext101_32x4d", BIASED),
    ("resnext50_32x4d", "resnext50_32x4d", None),
    ("inception_resnet_v2", "inception_resnet_v2", None),
]


@pytest.mark.parity
@pytest.mark.slow
@pytest.mark.parametrize(("twin", "name", "se"), TIMM)
def test_parameters_are_as_many_as_in_timm(twin, name, se):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        theirs = timm.create_model(twin)
    assert params(name, se) == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parity
@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d"])
def test_parameters_are_as_many_as_in_torchvision(name):
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        theirs = models.get_model(name)
    assert params(name) == sum(p.numel() for p in theirs.parameters())
