"""A block with shared weights for several reduction ratios: each excitation is a slice of the widest one.

Letters in shapes: n images, c and d channels, h and w sizes.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError
from senet.nn.block import SqueezeExcite
from senet.spec import SESpec

__all__ = ["NestedSqueezeExcite", "SlicedConv2d"]


class SlicedConv2d(nn.Conv2d):
    """A 1x1 convolution that uses only its first input and output channels.

    Attributes:
        inputs: input channels in use.
        outputs: output channels in use.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)
        self.inputs, self.outputs = in_channels, out_channels

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Convolve with the slice of the weights in use; only that slice gets gradients."""
        weight = self.weight[: self.outputs, : self.inputs].contiguous()
        return F.conv2d(x, weight, None if self.bias is None else self.bias[: self.outputs])


class NestedSqueezeExcite(SqueezeExcite):
    """Squeeze-and-excitation with a selectable reduction ratio; computes the same as `SqueezeExcite`.

    The layers are as wide as the widest spec needs. `select` chooses a spec: its excitation uses the first units of
    every layer, so all specs share weights and narrow excitations are slices of wide ones.

    Args:
        channels: channels of the map.
        specs: specs that differ only in `reduction`.
        stage: stage of the block, from 1; selects the ratio if a spec has one per stage.
        unit: unit within the stage, from 1; selects the ratio if a spec has one per block.

    Raises:
        SpecError: if `specs` is empty, the specs differ in more than the ratio, or a layer acts on the map.

    Source:
        The nested widths of slimmable networks (Yu et al., arXiv:1812.08928), here in the excitation only.

    Example:
        >>> block = NestedSqueezeExcite(64, [SESpec(reduction=r) for r in (4, 16)])
        >>> block.select(SESpec(reduction=16))
        >>> block.widths, block.fc1.weight.shape[0]
        ((64, 4, 64), 16)
    """

    def __init__(self, channels: int, specs: Sequence[SESpec], *, stage: int = 1, unit: int = 1) -> None:
        if not specs or len({spec.but(reduction=1) for spec in specs}) != 1:
            raise SpecError(
                f"specs = {', '.join(map(str, specs)) or 'none'}; pass specs that differ only in the ratio."
            )
        if specs[0].map_kernels:
            raise SpecError(
                f"variant = {specs[0].variant!r} has layers on the map, which cannot be nested; choose another."
            )
        if not specs[0].has_ratio or specs[0].norm != "none":
            raise SpecError(f"{specs[0]} has no widths that can be nested; choose a variant with a ratio and no norm.")
        all_widths = {spec: spec.widths(channels, stage=stage, unit=unit) for spec in specs}
        wider = max(all_widths, key=all_widths.__getitem__)
        super().__init__(channels, wider, stage=stage, unit=unit)
        self.stage, self.unit = stage, unit
        self.largest = tuple(max(column) for column in zip(*all_widths.values(), strict=True))
        for name, (inputs, outputs) in zip(self.layers, pairwise(self.largest), strict=True):
            setattr(self, name, SlicedConv2d(inputs, outputs, bias=wider.bias))
        self.select(wider)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the selected spec."""
        return self.planned

    def select(self, spec: SESpec) -> None:
        """Use the excitation of a spec from now on.

        Raises:
            SpecError: if the spec is wider than the weights, or differs in more than the ratio.
        """
        widths = spec.widths(self.channels, stage=self.stage, unit=self.unit)
        fits = len(widths) == len(self.largest) and all(w <= top for w, top in zip(widths, self.largest, strict=True))
        if spec.but(reduction=1) != self.spec.but(reduction=1) or not fits:
            raise SpecError(
                f"spec = {spec} has the widths {widths}; this block supports {self.spec.variant} with widths up to "
                f"{self.largest}."
            )
        self.spec, self.planned = spec, widths
        for name, (inputs, outputs) in zip(self.layers, pairwise(widths), strict=True):
            layer = getattr(self, name)
            layer.inputs, layer.outputs = inputs, outputs

    @torch.no_grad()
    def standalone(self) -> SqueezeExcite:
        """Return a `SqueezeExcite` of the selected spec with copies of its slice of the weights."""
        block = SqueezeExcite(self.channels, self.spec, stage=self.stage, unit=self.unit)
        for name, (inputs, outputs) in zip(self.layers, pairwise(self.widths), strict=True):
            whole, part = getattr(self, name), getattr(block, name)
            part.weight.copy_(whole.weight[:outputs, :inputs])
            if part.bias is not None:
                part.bias.copy_(whole.bias[:outputs])
        if isinstance(self.squeeze, nn.Module) and isinstance(block.squeeze, nn.Module):
            block.squeeze.load_state_dict(self.squeeze.state_dict())
        return block
