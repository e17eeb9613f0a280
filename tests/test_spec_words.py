"""One notation for designs: what a spec prints is read back, and what the command line takes works in Python."""

import pytest
import torch
from hypothesis import given
from specs import SPECS

import senet
from senet.errors import SpecError
from senet.spec import SESpec


@given(SPECS)
def test_every_design_is_read_back_from_what_it_prints(spec: SESpec) -> None:
    assert SESpec.parse(str(spec)) == spec
    variant, *fields = str(spec).split()
    assert SESpec.parse(f"{variant}:{','.join(word.replace(',', '-') for word in fields)}") == spec


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("standrd", "variant = 'standrd' is not known.*Did you mean 'standard'"),
        ("standard:ratio=8", "ratio is not known; choose one of: activation, bias"),
        ("standard:reduction", "'reduction' is not an assignment; write standard:reduction=8"),
        ("standard:reduction=8,r=4", "reduction is there twice"),
        ("standard:bias=maybe", "bias = 'maybe' is not possible; give true or false"),
        ("standard:reduction=-8", "not a ratio"),
        ("standard:reduction=8--2", "not a ratio"),
        ("standard:reduction=" + "9" * 5000, "not a ratio"),
        ("standard:stages=1-x", "not a list of stages"),
        ("standard:stages=0", "not a list of stages"),
        ("", "variant = '' is not known"),
        ("standard r=²", "not a ratio"),
    ],
)
def test_words_that_are_not_a_design_are_refused(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        SESpec.parse(text)


def test_designs_in_words_build_the_same_networks_as_specs() -> None:
    def built(se: object) -> str:
        with torch.device("meta"):
            return repr(senet.create_model("resnet8", se=se))

    one, other = SESpec(reduction=8), SESpec(slot="pre", reduction=4)
    assert built("standard:reduction=8") == built(one)
    assert built("standard") == built(True) == built(SESpec())
    assert built("plain") == built(False) == built(None)
    assert (
        built("standard:reduction=8+standard:slot=pre,reduction=4") == built([one, other]) == built([one, str(other)])
    )
    with pytest.raises(SpecError, match="Did you mean 'slow_both'"):
        built("slow_bth")


def test_the_block_takes_a_ratio_and_names_our_word_for_those_of_others() -> None:
    assert senet.SqueezeExcite(64, reduction=8).widths == (64, 8, 64)
    assert senet.SqueezeExcite(64, SESpec(variant="bump"), reduction=4).widths == (64, 16, 16, 64)
    for others, said in (
        ({"rd_ratio": 0.25}, "rd_ratio = 0.25 is not an argument of SqueezeExcite; use reduction=R"),
        ({"squeeze_channels": 8}, "reduction=channels // squeeze_channels"),
        ({"gate_layer": "sigmoid"}, "SESpec"),
        ({"colour": 1}, "colour = 1 is not an argument of SqueezeExcite; pass the spec as SESpec"),
    ):
        with pytest.raises(SpecError, match=said):
            senet.SqueezeExcite(64, **others)  # type: ignore[arg-type]


def test_the_tables_of_names_are_public() -> None:
    assert "slow_both" in senet.VARIANTS
    assert {"avg", "sigmoid", "relu", "pre"} <= {
        *senet.SQUEEZE_NAMES, *senet.GATE_NAMES, *senet.ACTIVATION_NAMES, *senet.SLOTS
    }  # fmt: skip
    assert "timm" in senet.ORIGINS
