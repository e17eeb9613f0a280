"""Where blocks sit: slots, stages and ratios, and sentences for what a network does not have."""

import re
import warnings
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from senet.errors import SpecError
from senet.models import create_model
from senet.nn import Gates, Site, SqueezeExcite, no_gates, place
from senet.nn.residual import RESIDUAL_SLOTS
from senet.spec import Ratios, SESpec

SITES = [
    Site(stage=stage, channels=channels, in_channels=before, inner_channels=channels // 4)
    for stage, channels, before in ((1, 64, 16), (2, 128, 64), (3, 256, 128))
]


def widths(gates: Gates, sites: list[Site] = SITES) -> list[dict[str, tuple[int, ...]]]:
    """Ask at every site and give the widths of the blocks by slot."""
    found = []
    for site in sites:
        blocks = gates(site)
        assert all(isinstance(block, SqueezeExcite) for block in blocks.values())
        found.append({slot: block.widths for slot, block in blocks.items()})
    return found


def test_none_and_an_empty_list_give_the_plain_network() -> None:
    assert place(None, depths=(2,) * 3) is no_gates
    for gates in (no_gates, place((), depths=(2,) * 3), place([], depths=(2,) * 3)):
        assert [gates(site) for site in SITES] == [{}, {}, {}]


def test_one_design_sits_in_every_stage() -> None:
    assert widths(place(SESpec(), depths=(2,) * 3)) == [
        {"standard": (64, 4, 64)},
        {"standard": (128, 8, 128)},
        {"standard": (256, 16, 256)},
    ]


@pytest.mark.parametrize("stages", [(1,), (2,), (3,), (1, 3), (3, 2), (1, 2, 3)])
def test_a_design_sits_in_its_stages_only(stages: tuple[int, ...]) -> None:
    found = widths(place(SESpec(stages=stages), depths=(2,) * 3))
    assert [stage for stage, blocks in enumerate(found, 1) if blocks] == sorted(stages)


def test_every_stage_has_its_ratio() -> None:
    found = widths(place(SESpec(reduction=(8, 2, 16)), depths=(2,) * 3))
    assert [blocks["standard"][1] for blocks in found] == [8, 64, 16]


def test_ratios_count_the_stages_of_the_network_not_those_with_a_block() -> None:
    found = widths(place(SESpec(reduction=(8, 2, 16), stages=(2,)), depths=(2,) * 3))
    assert found == [{}, {"standard": (128, 64, 128)}, {}]


@pytest.mark.parametrize(
    ("slot", "channels"),
    [("standard", 128), ("pre", 64), ("post", 128), ("identity", 128), ("inner", 32)],
)
def test_a_block_has_the_channels_of_its_slot(slot: str, channels: int) -> None:
    blocks = place(SESpec(slot=slot), depths=(2,) * 3)(SITES[1])
    assert {name: block.channels for name, block in blocks.items()} == {slot: channels}  # type: ignore[attr-defined]


def test_designs_in_different_slots_sit_side_by_side() -> None:
    specs = [SESpec(slot=slot, reduction=2) for slot in RESIDUAL_SLOTS]
    blocks = place(specs, depths=(2,) * 3)(SITES[2])
    assert set(blocks) == set(RESIDUAL_SLOTS)
    assert [blocks[spec.slot].spec for spec in specs] == specs  # type: ignore[attr-defined]


def test_designs_in_different_stages_share_a_slot() -> None:
    specs = (SESpec(stages=(1, 2)), SESpec(variant="bump", stages=(3,)))
    assert [len(blocks["standard"]) for blocks in widths(place(specs, depths=(2,) * 3))] == [3, 3, 4]


def test_two_designs_in_one_slot_are_refused() -> None:
    gates = place([SESpec(), SESpec(variant="bump", stages=(2,))], depths=(2,) * 3, network="resnet20")
    gates(SITES[0])
    with pytest.raises(SpecError) as caught:
        gates(SITES[1])
    assert str(caught.value) == "two specs share the slot 'standard' of stage 2 in resnet20; keep one."


def test_every_question_gives_fresh_blocks() -> None:
    gates = place(SESpec(), depths=(2,) * 3)
    first, second = gates(SITES[0])["standard"], gates(SITES[0])["standard"]
    assert first is not second
    assert not torch.equal(first.fc1.weight, second.fc1.weight)


# ---- sites


def test_a_site_offers_the_slots_it_has_channels_for() -> None:
    assert dict(Site(stage=1, channels=8).slots()) == {"standard": 8}
    assert dict(Site(stage=1, channels=8, inner_channels=2).slots()) == {"standard": 8, "inner": 2}
    assert dict(Site(stage=1, channels=8, in_channels=4, inner_channels=2).slots()) == {
        "standard": 8,
        "pre": 4,
        "post": 8,
        "identity": 8,
        "inner": 2,
    }


@pytest.mark.parametrize("slot", ["pre", "post", "identity", "inner"])
def test_a_network_that_is_not_residual_refuses_the_other_slots_by_name(slot: str) -> None:
    gates = place(SESpec(slot=slot), depths=(2,) * 5, network="vgg16_bn")
    with pytest.raises(SpecError) as caught:
        gates(Site(stage=1, channels=64))
    assert str(caught.value) == f"slot = {slot!r} does not exist in vgg16_bn; choose one of: standard."


def test_a_residual_unit_without_spatial_convolution_refuses_the_inner_slot() -> None:
    with pytest.raises(SpecError, match=re.escape("choose one of: standard, pre, post, identity.")):
        place(SESpec(slot="inner"), depths=(2,) * 1)(Site(stage=1, channels=64, in_channels=64))


# ---- what does not fit a network


@pytest.mark.parametrize(
    ("reduction", "sentence"),
    [
        ((8, 2), "reduction = (8, 2) names 2 stages, resnet20 has 3; give one ratio, or 3."),
        ((8, 2, 16, 4), "reduction = (8, 2, 16, 4) names 4 stages, resnet20 has 3; give one ratio, or 3."),
        ((8,), "reduction = (8,) names 1 stages, resnet20 has 3; give one ratio, or 3."),
        (((8, 4), 2), "reduction = ((8, 4), 2) names 2 stages, resnet20 has 3; give one ratio, or 3."),
        ((8, (4,), 2), "reduction[1] = (4,) names 1 blocks, stage 2 of resnet20 has 2; give one ratio, or 2."),
        (
            (8, (4, 4, 4), 2),
            "reduction[1] = (4, 4, 4) names 3 blocks, stage 2 of resnet20 has 2; give one ratio, or 2.",
        ),
    ],
)
def test_a_wrong_number_of_ratios_is_refused_before_any_block_is_made(reduction: Ratios, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        place(SESpec(reduction=reduction), depths=(2,) * 3, network="resnet20")
    assert str(caught.value) == sentence


def test_a_stage_past_the_last_is_refused_before_any_block_is_made() -> None:
    with pytest.raises(SpecError) as caught:
        place([SESpec(), SESpec(stages=(2, 4))], depths=(2,) * 3, network="resnet20")
    assert str(caught.value) == "stages = (2, 4) goes past the 3 stages of resnet20; stages count from 1."


@pytest.mark.parametrize("se", ["standard", ["standard"], [SESpec(), 16]])
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_design_is_refused(se: object) -> None:
    with pytest.raises(SpecError, match="is not a design; pass a SESpec, a list of them, or a function of the site"):
        place(se, depths=(2,) * 3)  # type: ignore[arg-type]


def test_a_network_narrower_than_the_ratio_warns_where_it_happens() -> None:
    gates = place(SESpec(reduction=32), depths=(2,) * 2)
    with pytest.warns(UserWarning, match="reduction = 32 exceeds the 16 channels"):
        gates(Site(stage=1, channels=16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gates(Site(stage=2, channels=32))


# ---- the user's own placement


def test_an_own_function_of_the_site_is_used_as_it_is() -> None:
    asked: list[Site] = []

    def every_other(site: Site) -> Mapping[str, nn.Module]:
        asked.append(site)
        return {"standard": nn.Identity()} if len(asked) % 2 else {}

    gates = place(every_other, depths=(2,) * 3)
    assert gates is every_other
    assert [list(gates(site)) for site in SITES] == [["standard"], [], ["standard"]]
    assert asked == SITES


@pytest.mark.parametrize(("ratio", "blocks"), [(32, 3), (64, 6), (1000, 9)])
def test_a_network_narrower_than_the_ratio_warns_once_and_says_in_how_many_blocks(ratio: int, blocks: int) -> None:
    with pytest.warns(UserWarning, match=f"reduction = {ratio} exceeds .* This concerns {blocks} blocks") as caught:
        create_model("resnet20", se=SESpec(reduction=ratio))
    assert len(caught) == 1
