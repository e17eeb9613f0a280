"""One block with all ratios in it: each of them is the block alone, to the bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from senet import SESpec
from senet.errors import SpecError
from senet.nn.nested import NestedSqueezeExcite

RATIOS = (2, 4, 16, 100)
VARIANTS = ("standard", "slow_squeeze", "slow_excite", "slow_both", "bump")


def nested(variant: str = "standard", channels: int = 32, **changes: object) -> NestedSqueezeExcite:
    return NestedSqueezeExcite(
        channels, [SESpec(variant=variant, reduction=r, **changes) for r in RATIOS if r <= channels]
    )


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_slice_is_the_block_alone_to_the_bit(variant: str, bias: bool, memory: torch.memory_format) -> None:
    block = nested(variant, bias=bias)
    x = torch.randn(3, 32, 5, 4).to(memory_format=memory)
    for r in (2, 4, 16):
        block.select(SESpec(variant=variant, reduction=r, bias=bias))
        alone = block.standalone()
        assert alone.widths == block.widths == SESpec(variant=variant, reduction=r).widths(32)
        assert torch.equal(block(x), alone(x))
        assert torch.equal(block.weights(x), alone.weights(x))


@given(data=st.data(), channels=st.integers(2, 40))
def test_any_ratio_up_to_the_widest_is_a_slice(data: st.DataObject, channels: int) -> None:
    r = data.draw(st.integers(1, channels))
    block = NestedSqueezeExcite(channels, [SESpec(reduction=1), SESpec(reduction=2)])
    block.select(SESpec(reduction=r))
    x = torch.randn(2, channels, 3, 3)
    assert torch.equal(block(x), block.standalone()(x))


def test_unsqueezed_maps_of_any_dimensions_pass_through_a_slice() -> None:
    block = nested(squeeze="none")
    block.select(SESpec(reduction=16, squeeze="none"))
    for shape in ((2, 32, 7), (2, 32, 3, 4), (2, 32, 2, 3, 2)):
        x = torch.randn(shape)
        assert torch.allclose(block(x), block.standalone()(x), atol=1e-6)


def test_a_narrow_design_moves_the_corner_of_the_weights_it_uses_and_nothing_else() -> None:
    block = nested()
    block.select(SESpec(reduction=16))
    block(torch.randn(4, 32, 3, 3)).square().sum().backward()
    first, second = block.fc1.weight.grad, block.fc2.weight.grad
    assert first is not None
    assert second is not None
    assert first.shape == (16, 32, 1, 1)
    assert not first[2:].any()
    assert not second[:, 2:].any()
    assert second[:, :2].any()


def test_the_stage_decides_which_ratio_holds() -> None:
    block = NestedSqueezeExcite(64, [SESpec(reduction=(2, 4)), SESpec(reduction=(8, 32))], stage=2)
    assert block.largest == (64, 16, 64)
    block.select(SESpec(reduction=(8, 32)))
    assert block.widths == (64, 2, 64)


def test_what_does_not_nest_is_refused() -> None:
    with pytest.raises(SpecError, match="differ only in the ratio"):
        NestedSqueezeExcite(32, [SESpec(), SESpec(gate="tanh")])
    with pytest.raises(SpecError, match="none; pass specs"):
        NestedSqueezeExcite(32, [])
    with pytest.raises(SpecError, match="cannot be nested"):
        NestedSqueezeExcite(32, [SESpec(variant="bump_conv")])
    block = NestedSqueezeExcite(32, [SESpec(reduction=8)])
    with pytest.raises(SpecError, match=r"widths \(32, 8, 32\); this block supports .* up to \(32, 4, 32\)"):
        block.select(SESpec(reduction=4))
    with pytest.raises(SpecError, match="this block supports"):
        block.select(SESpec(reduction=8, bias=False))
