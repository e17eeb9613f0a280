"""Recognise blocks of other kinds than squeeze-and-excitation by their class name, confirmed by their data flow."""

import re
from math import prod

from torch import nn

from senet.dataflow.flow import Flow
from senet.nn.layers import LAYERS
from senet.nn.pointwise import pointwise, widths
from senet.surgery.finding.alone import Alone
from senet.surgery.finding.squeezes import SAME, source_of

__all__ = ["other_kind"]

# class names in lower case without underscores; circular ECA and CBAM's lighter form count, too
OVER_CHANNELS = re.compile(r"c?(eca|efficientchannel(attn|attention))(module|layer|block)?")
FULL_MATRICES = re.compile(r"(light)?channel(attn|attention)(module|layer|block)?|globalcontext(block)?")
ANY = 16  # channels of a map for a module that takes any number
ONE = SAME | {"expand"}


def other_kind(module: nn.Module, name: str, alone: Alone) -> tuple[tuple[int, ...], bool] | None:
    """Return the widths of a block of ECA, the channel part of CBAM, or global context, and whether it adds.

    Args:
        module: the module.
        name: its path in the network, whose forward pass shows the channels of ECA: its layer has none.
        alone: trial runs of the parts of the network.

    Returns:
        None for other modules.

    Source:
        Wang et al., arXiv:1910.03151; Woo et al., arXiv:1807.06521; Cao et al., arXiv:1904.11492.
    """
    title = type(module).__name__.lower().replace("_", "")
    layers = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    if OVER_CHANNELS.fullmatch(title) and layers and all(isinstance(layer, nn.Conv1d) for layer in layers):
        end = _end(alone.run(module, (2, ANY, 6, 5)), ANY)
        channels = alone.channels(name) if end else 0
        return ((channels, channels), end == "add") if channels else None
    if FULL_MATRICES.fullmatch(title):
        found = widths([layer for layer in layers if (pointwise(layer) or (0, 0))[1] != 1])  # not the attention pool
        if found and (end := _end(alone.run(module, (2, found[0], 6, 5)), found[0])):
            return found, end == "add"
    return None


def _end(flow: Flow | None, channels: int) -> str:
    """Return `mul` or `add` if a pass ends with the product or sum of its input and one number for each channel."""
    if flow is None or len(flow.outputs) != 1:
        return ""
    (output,) = flow.outputs
    op, image = output.op, flow.values[0]
    if op is None or op.kind not in ("mul", "add") or len(op.reads) != 2 or image not in op.reads:
        return ""
    gate = next((source_of(value, ONE) for value in op.reads if value is not image), image)
    return op.kind if gate.needs(image) and prod(gate.shape) == flow.shape[0] * channels else ""
