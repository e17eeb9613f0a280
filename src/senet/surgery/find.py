"""Find the squeeze-and-excitation blocks of a network, ours and foreign ones, without importing other libraries."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import nn

from senet.errors import SpecError
from senet.nn import SqueezeExcite

__all__ = ["Found", "Kind", "find"]

Kind = Literal["senet", "timm", "torchvision", "monai", "other"]
ORIGINS: tuple[Kind, ...] = ("timm", "torchvision", "monai")
CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LAYERS = (*CONVS, nn.Linear)

# class names in lower case without underscores: SELayer, SE_Block, ChannelSELayer, SqueezeExcitation, SqueezeExciteCl
NAME = re.compile(
    r"(channel|residual)?(se(layer|block|module|unit)?|squeeze(and|n)?excit(e|ation)(layer|block|module|unit)?)"
    r"(cl|[123]d)?"
)
ONE_LAYER = re.compile(r"(effective|e)se(layer|block|module)?")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One block of a network.

    Attributes:
        name: path of the block in the network, as `model.get_submodule` takes it; empty for the network itself.
        channels: channels of the map it gates.
        widths: widths of its excitation, `(channels, hidden, ..., channels)`.
        kind: the library its class comes from; copies and classes of your own are `other`.
        module_class: its class.
    """

    name: str
    channels: int
    widths: tuple[int, ...]
    kind: Kind
    module_class: type[nn.Module]


def find(model: nn.Module) -> tuple[Found, ...]:
    """Find the squeeze-and-excitation blocks of any network.

    A block is ours, or a module that is one by its name and by its layers: the class is called like one (the words
    SE or squeeze-excite with layer, block, module or unit; timm, torchvision, MONAI, mmpretrain, pytorchcv and the
    usual copies do so), and its only layers are 1x1 convolutions or linear maps from C channels over one or more
    hidden widths back to C. "Effective" SE has one layer from C to C and counts. A residual unit that is called
    SEBlock has other layers, so the block inside it is found.

    Other gates do not count, since their cost and their descriptor are not those of Eq. 2-4: the attentions of CBAM
    (its channel branch runs the excitation twice), BAM, ECA, gather-excite, global context, coordinate, split and
    spatial attention, layer scale. Nor does a plain `nn.Sequential`, which has no name of its own.

    Args:
        model: any network; it is neither run nor changed.

    Returns:
        The blocks in the order of the module tree, a shared one once. Of nested candidates the innermost counts.

    Raises:
        SpecError: if `model` is no module.

    Source:
        Hu et al., arXiv:1709.01507, Eq. 2-4; effective SE: Lee and Park, arXiv:1911.06667; CBAM: arXiv:1807.06521.

    Example:
        >>> [found.widths for found in find(nn.Sequential(nn.Conv2d(3, 64, 3), SqueezeExcite(64)))]
        [(64, 4, 64)]
    """
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is no network; give a torch.nn.Module, e.g. create_model('resnet20').")
    return tuple(_walk(model, "", set()))


def _walk(module: nn.Module, name: str, seen: set[nn.Module]) -> Iterator[Found]:
    if module in seen:
        return
    seen.add(module)
    if isinstance(module, SqueezeExcite):  # not searched further: an excitation of your own may hold anything
        yield _found(module, name, module.widths, "senet")
        return
    prefix = f"{name}." if name else ""
    inner = [found for child, part in module.named_children() for found in _walk(part, prefix + child, seen)]
    if not inner and (widths := _widths(module)):
        inner = [_found(module, name, widths, _origin(module))]
    yield from inner


def _found(module: nn.Module, name: str, widths: tuple[int, ...], kind: Kind) -> Found:
    return Found(name=name, channels=widths[0], widths=widths, kind=kind, module_class=type(module))


def _origin(module: nn.Module) -> Kind:
    package = type(module).__module__.partition(".")[0]
    return next((kind for kind in ORIGINS if kind == package), "other")


def _widths(module: nn.Module) -> tuple[int, ...] | None:
    """Give the widths of a foreign block; None if the module is none by its name or by its layers."""
    title = type(module).__name__.lower().replace("_", "")
    fewest = 1 if ONE_LAYER.fullmatch(title) else 2 if NAME.fullmatch(title) else None
    if fewest is None:
        return None
    sizes = [_sizes(layer) for layer in module.modules() if isinstance(layer, LAYERS)]
    if len(sizes) < fewest or None in sizes:
        return None
    ends = [size for size in sizes if size is not None]
    closed = ends[0][0] == ends[-1][1] and all(left[1] == right[0] for left, right in pairwise(ends))
    return (ends[0][0], *(size[1] for size in ends)) if closed else None


def _sizes(layer: nn.Module) -> tuple[int, int] | None:
    """Give the input and output channels of a 1x1 layer; None if it looks at neighbours or at groups."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    assert isinstance(layer, CONVS)
    pointwise = set(layer.kernel_size) == {1} and layer.groups == 1
    return (layer.in_channels, layer.out_channels) if pointwise else None
