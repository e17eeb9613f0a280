"""Designs as values: widths as the papers print them, and errors that name what came and what fits."""

import dataclasses
import itertools
import re
from typing import Any

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from senet.errors import SpecError
from senet.nn.gate import ACTIVATIONS, GATES
from senet.nn.residual import RESIDUAL_SLOTS
from senet.nn.squeeze import SQUEEZES
from senet.spec import (
    ACTIVATION_NAMES,
    GATE_NAMES,
    MAP_KERNELS,
    NORM_NAMES,
    ROUNDINGS,
    SLOTS,
    SLOW_RULES,
    SQUEEZE_NAMES,
    VARIANTS,
    SESpec,
)

CHANNELS = st.integers(1, 4096)
RATIOS = st.integers(1, 128)
RESNET18 = ((64, 2), (128, 2), (256, 2), (512, 2))  # channels and blocks of the four stages
RESNET50 = ((256, 3), (512, 4), (1024, 6), (2048, 3))
RESNET50_PLAIN = 25_557_032  # parameters


def weights_and_biases(spec: SESpec, stages: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """Count the numbers of all blocks of a network."""
    weights = biases = 0
    for stage, (channels, blocks) in enumerate(stages, 1):
        if spec.stages and stage not in spec.stages:
            continue
        widths = spec.widths(channels, stage=stage)
        weights += blocks * sum(a * b for a, b in itertools.pairwise(widths))
        biases += blocks * sum(widths[1:])
    return weights, biases


# ---- widths


@pytest.mark.parametrize(
    ("variant", "at_64", "at_512", "at_32"),
    [
        ("standard", (64, 4, 64), (512, 32, 512), (32, 2, 32)),
        ("slow_squeeze", (64, 8, 4, 64), (512, 64, 32, 512), (32, 4, 2, 32)),
        ("slow_excite", (64, 4, 8, 64), (512, 32, 64, 512), (32, 2, 4, 32)),
        ("slow_both", (64, 8, 4, 8, 64), (512, 64, 32, 64, 512), (32, 4, 2, 4, 32)),
        ("bump", (64, 4, 4, 64), (512, 32, 32, 512), (32, 2, 2, 32)),
        ("bump_conv", (64, 4, 4, 64), (512, 32, 32, 512), (32, 2, 2, 32)),
    ],
)
def test_widths_are_those_of_the_papers_at_ratio_16(
    variant: str, at_64: tuple[int, ...], at_512: tuple[int, ...], at_32: tuple[int, ...]
) -> None:
    spec = SESpec(variant=variant)
    assert spec.widths(64) == at_64
    assert spec.widths(512) == at_512
    assert spec.widths(32) == at_32


@given(variant=st.sampled_from(sorted(VARIANTS)), channels=CHANNELS, ratio=RATIOS)
def test_widths_equal_the_reference_everywhere(variant: str, channels: int, ratio: int) -> None:
    assert list(SESpec(variant=variant, reduction=ratio).widths(channels)) == reference.widths(variant, channels, ratio)


@given(
    variant=st.sampled_from(sorted(VARIANTS)),
    channels=CHANNELS,
    ratio=RATIOS,
    slow_rule=st.sampled_from(sorted(SLOW_RULES)),
    rounding=st.sampled_from(sorted(ROUNDINGS)),
)
def test_widths_begin_and_end_with_the_channels_and_never_vanish(
    variant: str, channels: int, ratio: int, slow_rule: str, rounding: str
) -> None:
    widths = SESpec(variant=variant, reduction=ratio, slow_rule=slow_rule, rounding=rounding).widths(channels)
    assert widths[0] == widths[-1] == channels
    assert min(widths) >= 1
    assert len(widths) == len(reference.widths(variant, channels, ratio))


@given(channels=CHANNELS, ratio=RATIOS, slow_rule=st.sampled_from(sorted(SLOW_RULES)))
def test_slow_excite_is_slow_squeeze_backwards_and_slow_both_is_a_palindrome(
    channels: int, ratio: int, slow_rule: str
) -> None:
    spec = SESpec(reduction=ratio, slow_rule=slow_rule)
    assert spec.but(variant="slow_excite").widths(channels) == spec.but(variant="slow_squeeze").widths(channels)[::-1]
    both = spec.but(variant="slow_both").widths(channels)
    assert both == both[::-1]


@given(channels=CHANNELS, ratio=RATIOS)
def test_the_hidden_layer_never_grows_with_the_ratio(channels: int, ratio: int) -> None:
    hidden = [SESpec(reduction=r).widths(channels)[1] for r in (ratio, ratio + 1)]
    assert hidden[0] >= hidden[1]


@pytest.mark.parametrize(
    ("spec", "weights", "biases"),
    [
        (SESpec(), 87_040, 2_040),
        (SESpec(variant="slow_squeeze"), 136_000, 2_280),
        (SESpec(variant="slow_excite"), 136_000, 2_280),
        (SESpec(variant="slow_both"), 184_960, 2_520),
        (SESpec(variant="bump"), 89_760, 2_160),
        (SESpec(variant="slow_squeeze", slow_rule="half_size"), 413_440, None),
        (SESpec(variant="slow_squeeze", slow_rule="geometric"), 228_480, None),
        (SESpec(variant="slow_both", slow_rule="half_size"), 739_840, None),
        (SESpec(variant="slow_both", slow_rule="geometric"), 369_920, None),
    ],
    ids=str,
)
def test_blocks_of_resnet18_have_the_published_number_of_weights(
    spec: SESpec, weights: int, biases: int | None
) -> None:
    counted = weights_and_biases(spec, RESNET18)
    assert counted[0] == weights
    if biases is not None:
        assert counted[1] == biases


@pytest.mark.parametrize(
    ("spec", "params"),
    [
        (SESpec(reduction=2), 45_699_240),
        (SESpec(reduction=4), 35_635_688),
        (SESpec(reduction=8), 30_603_912),
        (SESpec(reduction=16), 28_088_024),
        (SESpec(reduction=32), 26_830_080),
        (SESpec(stages=(1,)), 25_582_424),
        (SESpec(stages=(2,)), 25_690_280),
        (SESpec(stages=(3,)), 26_349_992),
        (SESpec(stages=(1, 2, 3)), 26_508_632),
    ],
    ids=str,
)
def test_ablations_of_se_resnet50_have_the_published_number_of_parameters(spec: SESpec, params: int) -> None:
    assert RESNET50_PLAIN + sum(weights_and_biases(spec, RESNET50)) == params


def test_se_resnet50_without_biases_and_with_inner_blocks_has_the_published_number_of_parameters() -> None:
    weights, _ = weights_and_biases(SESpec(bias=False), RESNET50)
    assert weights == 2_514_944
    assert RESNET50_PLAIN + weights == 28_071_976
    inner = tuple((channels // 4, blocks) for channels, blocks in RESNET50)
    assert RESNET50_PLAIN + sum(weights_and_biases(SESpec(slot="inner"), inner)) == 25_718_228


@pytest.mark.parametrize(
    ("channels", "exact", "timm", "mmlab"),
    [
        (16, 1, 8, 8),
        (32, 2, 8, 8),
        (64, 4, 8, 8),
        (128, 8, 8, 8),
        (176, 11, 8, 16),
        (304, 19, 16, 24),
        (320, 20, 24, 24),
        (576, 36, 40, 40),
        (608, 38, 40, 40),
        (1056, 66, 64, 64),
        (2048, 128, 128, 128),
    ],
)
def test_roundings_give_the_widths_of_the_libraries_they_are_named_after(
    channels: int, exact: int, timm: int, mmlab: int
) -> None:
    for rounding, hidden in (("exact", exact), ("timm", timm), ("mmlab", mmlab)):
        assert SESpec(rounding=rounding).widths(channels) == (channels, hidden, channels)


@pytest.mark.slow
@pytest.mark.parity
def test_the_timm_rounding_is_that_of_timm_for_all_widths() -> None:
    layers = pytest.importorskip("timm.layers", reason="timm is not installed")
    for ratio in (2, 4, 8, 16, 32):
        for channels in range(1, 2200, 7):
            theirs = layers.make_divisible(channels * (1 / ratio), 8, round_limit=0.0)
            assert SESpec(reduction=ratio, rounding="timm").widths(channels)[1] == theirs


def test_a_custom_variant_is_a_function_of_channels_and_hidden_widths() -> None:
    spec = SESpec(variant=lambda C, h, m: (C, h, m, 2 * m, C))
    assert spec.widths(64) == (64, 4, 8, 16, 64)
    assert spec.map_kernels == ()


@pytest.mark.parametrize("widths", [(64,), (), (32, 4, 64), (64, 4, 32), (64, 0, 64), (64, 4.0, 64)])
@pytest.mark.usefixtures("unchecked")
def test_a_custom_variant_with_widths_that_do_not_fit_is_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=re.escape(f"variant gives the widths {widths}; they start and end with 64")):
        SESpec(variant=lambda C, h, m: widths).widths(64)


@pytest.mark.parametrize("channels", [0, -3])
def test_no_channels_are_refused(channels: int) -> None:
    with pytest.raises(SpecError, match=f"channels = {channels} is not a number of channels; give at least 1"):
        SESpec().widths(channels)


# ---- ratios and stages


def test_one_ratio_holds_for_all_stages_and_several_for_one_each() -> None:
    assert [SESpec(reduction=8).ratio(stage) for stage in (1, 2, 9)] == [8, 8, 8]
    spec = SESpec(reduction=(8, 2, 16))
    assert [spec.ratio(stage) for stage in (1, 2, 3)] == [8, 2, 16]
    assert [spec.widths(64, stage=stage)[1] for stage in (1, 2, 3)] == [8, 32, 4]


@pytest.mark.parametrize("stage", [0, -1, 4])
def test_a_stage_without_a_ratio_is_refused(stage: int) -> None:
    with pytest.raises(SpecError, match=re.escape(f"reduction = (8, 2, 16) names 3 stages, stage {stage} is asked")):
        SESpec(reduction=(8, 2, 16)).ratio(stage)


# ---- the value


def test_the_defaults_are_those_of_the_paper_and_the_official_networks() -> None:
    assert dataclasses.asdict(SESpec()) == {
        "variant": "standard",
        "reduction": 16,
        "squeeze": "avg",
        "gate": "sigmoid",
        "activation": "relu",
        "bias": True,
        "slot": "standard",
        "stages": (),
        "slow_rule": "half_ratio",
        "rounding": "exact",
        "norm": "none",
    }


def test_specs_are_frozen_hashable_and_compared_by_value() -> None:
    spec = SESpec(reduction=(8, 2, 16))
    assert spec == SESpec(reduction=(8, 2, 16))
    assert len({spec, SESpec(reduction=(8, 2, 16)), SESpec()}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.reduction = 4  # type: ignore[misc]


@pytest.mark.usefixtures("unchecked")
def test_lists_of_ratios_and_stages_become_tuples() -> None:
    spec = SESpec(reduction=[8, 2], stages=[1, 2])  # type: ignore[arg-type]
    assert spec == SESpec(reduction=(8, 2), stages=(1, 2))
    assert hash(spec) == hash(SESpec(reduction=(8, 2), stages=(1, 2)))


def test_but_changes_a_copy_and_checks_it_again() -> None:
    spec = SESpec(reduction=8)
    assert spec.but(gate="tanh") == SESpec(reduction=8, gate="tanh")
    assert spec.gate == "sigmoid"
    with pytest.raises(SpecError, match="gate = 'tan' is not known"):
        spec.but(gate="tan")


def test_only_bump_conv_has_layers_on_the_map() -> None:
    assert {name: SESpec(variant=name).map_kernels for name in VARIANTS} == {
        **dict.fromkeys(VARIANTS, ()),
        **MAP_KERNELS,
    }
    assert SESpec(variant="bump_conv").map_kernels == (1, 3)


def test_names_are_those_of_the_tables_that_implement_them() -> None:
    assert set(SQUEEZE_NAMES) == {*SQUEEZES, "attention", "dct"}
    assert set(GATE_NAMES) == set(GATES) == set(reference.GATES)
    assert set(ACTIVATION_NAMES) == set(ACTIVATIONS) == set(reference.ACTIVATIONS)
    assert SLOTS == RESIDUAL_SLOTS


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (SESpec(), "standard r=16"),
        (SESpec(variant="slow_both", reduction=(8, 2, 16), bias=False), "slow_both r=8-2-16 no-bias"),
        (SESpec(squeeze="max", gate="tanh", activation="silu"), "standard r=16 squeeze=max gate=tanh activation=silu"),
        (SESpec(slot="pre", stages=(1, 3)), "standard r=16 slot=pre stages=1,3"),
        (SESpec(slow_rule="geometric", rounding="timm"), "standard r=16 slow_rule=geometric rounding=timm"),
        (SESpec(gate=abs, variant=reference.widths), "widths r=16 gate=abs"),
    ],
)
def test_a_spec_in_words_says_what_differs_from_the_default(spec: SESpec, words: str) -> None:
    assert str(spec) == words


def test_specs_that_differ_differ_in_words() -> None:
    specs = [
        SESpec(**{field: value})  # type: ignore[arg-type]
        for field, values in {
            "variant": VARIANTS,
            "reduction": (1, 2, 4, (4, 2), (2, 4)),
            "squeeze": (*(name for name in SQUEEZE_NAMES if name != "avg_std"), ("avg", "max"), ("max", "avg")),
            "norm": NORM_NAMES,
            "gate": GATE_NAMES,
            "activation": ACTIVATION_NAMES,
            "bias": (True, False),
            "slot": SLOTS,
            "stages": ((), (1,), (1, 2), (12,)),
            "slow_rule": SLOW_RULES,
            "rounding": ROUNDINGS,
        }.items()
        for value in values
    ]
    assert len(set(map(str, specs))) == len(set(specs))


# ---- errors


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"gate": "sigmod"},
            "gate = 'sigmod' is not known; choose one of: add, gaussian, hard_sigmoid, relu, residual_sigmoid, "
            "sigmoid, tanh, unit_hard_sigmoid, unit_sigmoid, unit_tanh. Did you mean 'sigmoid'?",
        ),
        (
            {"variant": "slowboth"},
            "variant = 'slowboth' is not known; choose one of: bump, bump_conv, channelwise, channelwise_both, conv, "
            "direct, none, slow_both, slow_excite, slow_squeeze, standard. Did you mean 'slow_both'?",
        ),
        ({"squeeze": "average"}, "squeeze = 'average' is not known; choose one of: attention, avg, avg_std, dct,"),
        ({"activation": "relu6"}, "Did you mean 'relu'?"),
        ({"slot": "identiy"}, "slot = 'identiy' is not known; choose one of: identity, inner, post, pre, standard."),
        ({"slow_rule": "half"}, "slow_rule = 'half' is not known; choose one of: geometric, half_ratio, half_size"),
        ({"rounding": "tim"}, "rounding = 'tim' is not known; choose one of: exact, mmlab, timm. Did you mean 'timm'?"),
        (
            {"reduction": 0},
            "reduction = 0 is not a ratio; give one whole number >= 1 (at most 1,000,000), one for each stage, or",
        ),
        ({"reduction": -16}, "reduction = -16 is not a ratio"),
        ({"reduction": ()}, "reduction = () is not a ratio"),
        ({"reduction": (8, 0)}, "reduction = (8, 0) is not a ratio"),
        ({"reduction": True}, "reduction = True is not a ratio"),
        ({"reduction": 0.25}, "reduction = 0.25 is not a ratio"),
        ({"reduction": "16"}, "reduction = '16' is not a ratio"),
        ({"reduction": (8, "2")}, "reduction = (8, '2') is not a ratio"),
        ({"reduction": None}, "reduction = None is not a ratio"),
        ({"stages": (0,)}, "stages = (0,) is not a list of stages; give different whole numbers from 1"),
        ({"stages": (1, 1)}, "stages = (1, 1) is not a list of stages"),
        ({"stages": 2}, "stages = 2 is not a list of stages"),
        ({"stages": "12"}, "stages = '12' is not a list of stages"),
        ({"gate": 3}, "gate = 3 is not known"),
        ({"variant": None}, "variant = None is not known"),
        ({"slot": max}, "slot = <built-in function max> is not known"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
@pytest.mark.usefixtures("unchecked")
def test_a_wrong_value_fails_when_the_spec_is_made(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        SESpec(**values)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
