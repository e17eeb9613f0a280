"""Find the squeeze-and-excitation blocks of a network, of any library, without importing other libraries."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn

from senet.errors import SpecError
from senet.nn import SqueezeExcite
from senet.nn.layers import LAYERS
from senet.nn.pointwise import CONTAINERS, widths
from senet.printed import Printed
from senet.surgery.finding.alone import Alone
from senet.surgery.finding.inline import Chain, chains_of, confirmed
from senet.surgery.finding.named_kinds import other_kind
from senet.tables import Table

__all__ = ["Blocks", "Found", "Kind", "find"]

Kind = Literal["senet", "timm", "torchvision", "monai", "other"]
ORIGINS: tuple[Kind, ...] = ("timm", "torchvision", "monai")

# class names in lower case without underscores: SELayer, SE_Block, ChannelSELayer, SqueezeExcitation, SqueezeExciteCl
NAME = re.compile(
    r"(channel|residual)?(se(layer|block|module|unit)?|squeeze(and|n)?excit(e|ation)(layer|block|module|unit)?)"
    r"(cl|[123]d)?"
)
ONE_LAYER = re.compile(r"(effective|e)se(layer|block|module)?")
WORD = re.compile(r"(?:^|(?<=[a-z0-9_]))SE(?=$|[A-Z0-9_][a-z]|_)|[Ss]queeze(?:And|_?[Nn])?_?[Ee]xcit")
"""The word in longer names: RegNetSELayer, SEWeightModule, EfficientNetSqueezeExciteLayer."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One block of a network.

    Attributes:
        name: path of the block in the network, as for `model.get_submodule`; empty for the network itself. For an
            inline block, path of the module in whose forward pass it runs.
        channels: channels of the map it gates.
        widths: widths of its excitation, `(channels, hidden, ..., channels)`.
        kind: the library that defines its class; copies and your own classes are `other`.
        module_class: its class; for an inline block, the class of the module `name`.
        parts: paths of the layers of an inline block, which has no module of its own; else empty.
        adds: whether it adds one number to each channel instead of multiplying.
    """

    name: str
    channels: int
    widths: tuple[int, ...]
    kind: Kind
    module_class: type[nn.Module]
    parts: tuple[str, ...] = ()
    adds: bool = False

    @property
    def modules(self) -> tuple[str, ...]:
        """Paths of its modules: the block itself, or the layers of an inline block."""
        return self.parts or (self.name,)

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        return f"an inline block of {self.name}" if self.parts else self.name or "the block"

    @property
    def left(self) -> str:
        """The reason why functions that read or replace gates skip this block; empty if they do not."""
        if not self.parts:
            return "it adds to the map instead of scaling it" if self.adds else ""
        return f"it is not a module of its own: {' and '.join(self.parts)} run in the forward pass of {self.name}"


class Blocks(Printed, tuple[Found, ...]):
    """The blocks of a network: a tuple that is printed as a table."""

    __slots__ = ()

    def __str__(self) -> str:
        if not self:
            return "no squeeze-and-excitation blocks"
        rows = []
        for one in self:
            name = f"{one.name}: {' + '.join(one.parts)}" if one.parts else one.name or "the network itself"
            rows.append((name, "-".join(map(str, one.widths)), one.kind, one.module_class.__name__))
        return str(Table(("block", "widths", "kind", "class"), rows, words=("kind", "class"), spare=("kind",)))


def find(model: nn.Module) -> Blocks:
    """Find the squeeze-and-excitation blocks of any network.

    A block is a `SqueezeExcite`, or a module whose only layers are 1x1 convolutions or linear maps from C channels
    over one or more hidden widths back to C, and which is recognised by its name (the words SE or squeeze-excite, as
    in timm, torchvision, MONAI, transformers and common copies) or by its data flow: run alone on meta tensors, it
    averages its input over all positions, computes a gate from the average, and multiplies. "Effective" SE has one
    layer from C to C and is recognised by its name. A residual unit named SEBlock has other layers, so the block
    inside it is found.

    The same steps in the forward pass of a larger module are an inline block (lukemelas' and MONAI's EfficientNet):
    it is found if successive layers lead from C channels back to C, and the enclosing module, or the network, runs on
    an input that is guessed from its layers.

    Blocks of other kinds (`senet.kinds`) are found by the class names that timm and common copies use, if they scale
    every channel of their input by one number or add it: ECA in a network that runs, the channel part of CBAM, and
    global context.

    Other gates are not blocks: spatial, coordinate and split attention, BAM, gather-excite with layers, layer scale.

    Args:
        model: any network; it is not changed.

    Returns:
        The blocks in the order of the module tree, shared ones once, inline blocks last. Of nested candidates the
        innermost is returned.

    Raises:
        SpecError: if `model` is not a module.

    Source:
        Hu et al., arXiv:1709.01507, Eq. 2-4; effective SE: Lee and Park, arXiv:1911.06667; CBAM: arXiv:1807.06521.

    Example:
        >>> [found.widths for found in find(nn.Sequential(nn.Conv2d(3, 64, 3), SqueezeExcite(64)))]
        [(64, 4, 64)]
    """
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is not a network; give a torch.nn.Module, e.g. create_model('resnet20').")
    alone = Alone(model)
    blocks = tuple(_walk(model, "", set(), alone))
    chains = chains_of(model, [block.name for block in blocks])
    return Blocks((*blocks, *(_inline(model, home, chain) for home, chain in confirmed(model, chains, alone))))


def _walk(module: nn.Module, name: str, seen: set[nn.Module], alone: Alone) -> Iterator[Found]:
    if module in seen:
        return
    seen.add(module)
    if isinstance(module, SqueezeExcite):  # not searched further: a custom excitation may hold any modules
        yield _found(module, name, module.widths, "senet", adds=module.adds)
        return
    prefix = f"{name}." if name else ""
    inner = [found for child, part in module.named_children() for found in _walk(part, prefix + child, seen, alone)]
    if not inner and (found := _widths(module, alone)):
        inner = [_found(module, name, found, _origin(module))]
    elif not inner and (kind := other_kind(module, name, alone)):
        inner = [_found(module, name, kind[0], _origin(module), adds=kind[1])]
    yield from inner


def _found(module: nn.Module, name: str, widths: tuple[int, ...], kind: Kind, *, adds: bool = False) -> Found:
    return Found(name=name, channels=widths[0], widths=widths, kind=kind, module_class=type(module), adds=adds)


def _inline(model: nn.Module, home: str, chain: Chain) -> Found:
    module = model.get_submodule(home)
    return Found(
        name=home,
        channels=chain.widths[0],
        widths=chain.widths,
        kind=_origin(module),
        module_class=type(module),
        parts=chain.names,
    )


def _origin(module: nn.Module) -> Kind:
    package = type(module).__module__.partition(".")[0]
    return next((kind for kind in ORIGINS if kind == package), "other")


def _widths(module: nn.Module, alone: Alone) -> tuple[int, ...] | None:
    """Return the widths of another library's block; None if layers, name and data flow are not those of a block."""
    if isinstance(module, LAYERS) or type(module) in CONTAINERS:
        return None
    layers = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    found = widths(layers) if layers else None
    if found is None:
        return None
    title = type(module).__name__
    plain = title.lower().replace("_", "")
    if ONE_LAYER.fullmatch(plain):
        return found
    named = NAME.fullmatch(plain) or WORD.search(title)
    return found if len(layers) > 1 and (named or alone.is_block(module)) else None
