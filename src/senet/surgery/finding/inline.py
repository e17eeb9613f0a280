"""Find inline blocks: layers that a larger module uses for squeeze-and-excitation in its own forward pass."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from torch import nn

from senet.dataflow.units import inside
from senet.nn.layers import LAYERS
from senet.nn.pointwise import CONTAINERS, widths
from senet.surgery.finding.alone import Alone
from senet.surgery.finding.squeezes import Squeeze

__all__ = ["Chain", "chains_of", "confirmed"]

LONGEST = 4  # layers of an excitation
LARGEST = 24  # layers of a part that runs alone; for larger parts the whole network is run instead
UPWARD = 3  # enclosing modules of the layers that are tried


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Successive layers from C channels over fewer channels back to C.

    Attributes:
        names: paths of the layers.
        widths: their widths, `(channels, hidden, ..., channels)`.
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]


def chains_of(model: nn.Module, blocks: Collection[str]) -> list[Chain]:
    """Return the chains of successive 1x1 layers in the module tree, outside of known blocks.

    The 1x1 layers of a bottleneck unit are not a chain, since a spatial convolution is between them.
    """
    layers = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, LAYERS) and not inside(name, blocks)
    ]
    chains: list[Chain] = []
    start = 0
    while start < len(layers):
        for length in range(2, LONGEST + 1):
            part = layers[start : start + length]
            found = widths([layer for _, layer in part]) if len(part) == length else None
            if found and max(found) == found[0] > 1:
                chains.append(Chain(names=tuple(name for name, _ in part), widths=found))
                start += length - 1
                break
        start += 1
    return chains


def confirmed(model: nn.Module, chains: list[Chain], alone: Alone) -> Iterator[tuple[str, Chain]]:
    """Yield the chains that compute squeeze-and-excitation, each with the module in whose forward pass they run."""
    for chain in chains:
        ran = True
        for home in _around(model, chain):
            module = model.get_submodule(home)
            if not home or sum(isinstance(part, LAYERS) for part in module.modules()) > LARGEST:
                ran = False
                break
            ran, found = alone.inside(module)
            if any(_matches(squeeze, home, chain) for squeeze in found):
                yield home, chain
                break
        else:
            if ran:
                continue
        if not ran:
            for squeeze in alone.whole():
                if _matches(squeeze, "", chain):
                    yield squeeze.product.module, chain
                    break


def _matches(squeeze: Squeeze, home: str, chain: Chain) -> bool:
    prefix = f"{home}." if home else ""
    return tuple(prefix + name for name in squeeze.modules) == chain.names


def _around(model: nn.Module, chain: Chain) -> Iterator[str]:
    """Yield the innermost modules that contain a chain and have their own forward pass, from the inside out."""
    parts = [name.split(".") for name in chain.names]
    depth = next(
        (level for level, names in enumerate(zip(*parts, strict=False)) if len(set(names)) > 1),
        min(map(len, parts)) - 1,
    )
    tried = 0
    for end in range(depth, -1, -1):
        home = ".".join(parts[0][:end])
        if tried < UPWARD and type(model.get_submodule(home)) not in CONTAINERS:
            tried += 1
            yield home
