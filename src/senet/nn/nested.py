"""A block that holds the excitations of several ratios at once: each is a slice of the widest one's weights.

Letters in shapes: n images, c channels, h and w sizes.
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
    """A 1x1 convolution of which the first inputs and outputs are in use.

    Attributes:
        inputs: channels that go in.
        outputs: channels that come out.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)
        self.inputs, self.outputs = in_channels, out_channels

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """Map the first inputs to the first outputs; gradients reach that corner of the weights only."""
        weight = self.weight[: self.outputs, : self.inputs].contiguous()
        return F.conv2d(x, weight, None if self.bias is None else self.bias[: self.outputs])


class NestedSqueezeExcite(SqueezeExcite):
    """Squeeze-and-excitation with one of several ratios in use; the data path is that of `SqueezeExcite`.

    The layers are as wide as the widest design needs. `select` chooses a design: its excitation is then the first
    units of every layer, so all designs share weights and the narrow ones are part of the wide ones.

    Args:
        channels: channels of the map.
        specs: the designs, alike but in `reduction`.
        stage: which of several reduction ratios holds, from 1.
        unit: likewise, of those of the stage.

    Raises:
        SpecError: if there is no design, or they differ in more than the ratio, or a layer acts on the map.

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
                f"specs = {', '.join(map(str, specs)) or 'none'}: give designs that differ in the ratio only."
            )
        if specs[0].map_kernels:
            raise SpecError(f"variant = {specs[0].variant!r} has layers on the map, which do not nest; choose another.")
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
        """Widths of the design in use."""
        return self.planned

    def select(self, spec: SESpec) -> None:
        """Use the excitation of a design from now on.

        Raises:
            SpecError: if the design is wider than the weights, or of another kind.
        """
        widths = spec.widths(self.channels, stage=self.stage, unit=self.unit)
        fits = len(widths) == len(self.largest) and all(w <= top for w, top in zip(widths, self.largest, strict=True))
        if spec.but(reduction=1) != self.spec.but(reduction=1) or not fits:
            raise SpecError(
                f"the design {spec} has the widths {widths}; this block holds designs {self.spec.variant} up to "
                f"{self.largest}."
            )
        self.spec, self.planned = spec, widths
        for name, (inputs, outputs) in zip(self.layers, pairwise(widths), strict=True):
            layer = getattr(self, name)
            layer.inputs, layer.outputs = inputs, outputs

    @torch.no_grad()
    def standalone(self) -> SqueezeExcite:
        """Give the block of the selected design alone, with copies of its slice of the weights."""
        block = SqueezeExcite(self.channels, self.spec, stage=self.stage, unit=self.unit)
        for name, (inputs, outputs) in zip(self.layers, pairwise(self.widths), strict=True):
            whole, part = getattr(self, name), getattr(block, name)
            part.weight.copy_(whole.weight[:outputs, :inputs])
            if part.bias is not None:
                part.bias.copy_(whole.bias[:outputs])
        return block
