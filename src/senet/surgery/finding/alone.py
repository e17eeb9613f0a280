"""Run parts of a network on meta tensors to determine whether they compute squeeze-and-excitation."""

from collections.abc import Iterator

from torch import nn

from senet.dataflow.example import image, observe
from senet.dataflow.flow import Flow
from senet.dataflow.recording import record
from senet.nn.excite import sizes as sizes_of
from senet.nn.layers import CONVS, LAYERS
from senet.surgery.finding.squeezes import Squeeze, squeezes

__all__ = ["Alone"]

BLOCK = (6, 5, 7)
"""Sizes of the map for a block [pixels]: all different, so that axes cannot be confused."""

PART = (32, 32, 32)
"""Sizes of the map for a part that may hold strided convolutions [pixels]."""


class Alone:
    """Trial runs of the parts of a network; parts of the same class and `repr` run once.

    Args:
        model: the network.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.known: dict[tuple[type[nn.Module], str], tuple[bool, tuple[Squeeze, ...]]] = {}
        self.flow: Flow | None = None
        self.failed = False

    def is_block(self, module: nn.Module) -> bool:
        """Return whether a module whose layers are all 1x1 returns its input multiplied by a gate computed from it."""
        return any(one.product.output.shape == one.gated.shape for one in self._try(module, BLOCK)[1])

    def inside(self, module: nn.Module) -> tuple[bool, tuple[Squeeze, ...]]:
        """Return whether a part of the network runs alone, and the squeeze-and-excitations in it."""
        return self._try(module, PART)

    def whole(self) -> tuple[Squeeze, ...]:
        """Return the squeeze-and-excitations in the whole network, none if it runs on none of the common shapes."""
        flow = self._observed()
        return () if flow is None else tuple(squeezes(flow))

    def channels(self, name: str) -> int:
        """Return the channels of the map that a module of the network gets; 0 if the network does not run."""
        flow = self._observed() if name else None  # a network that is one such module takes any number of channels
        inputs = (call.input for call in flow.calls if call.name == name and call.input is not None) if flow else ()
        return next((value.channels for value in inputs), 0)

    def run(self, module: nn.Module, shape: tuple[int, ...]) -> Flow | None:
        """Return the data flow of a module on one shape; None if it does not run on it."""
        try:
            return record(module, image(module, shape, "meta"))
        except Exception:  # modules may raise any error
            return None

    def _observed(self) -> Flow | None:
        if self.flow is None and not self.failed:
            try:
                self.flow = observe(self.model, None)
            except Exception:  # other libraries' networks may raise any error
                self.failed = True
        return self.flow

    def _try(self, module: nn.Module, sizes: tuple[int, ...]) -> tuple[bool, tuple[Squeeze, ...]]:
        key = type(module), repr(module)
        if key not in self.known:
            self.known[key] = next(self._runs(module, sizes), (False, ()))
        return self.known[key]

    def _runs(self, module: nn.Module, sizes: tuple[int, ...]) -> Iterator[tuple[bool, tuple[Squeeze, ...]]]:
        ran = False
        for shape, axis in _shapes(module, sizes):
            try:
                flow: Flow = record(module, image(module, shape, "meta"), axis=axis)
            except Exception:  # modules may raise any error, mostly because they need another input
                continue
            ran = True
            if found := tuple(squeezes(flow)):
                yield True, found
        yield ran, ()


def _shapes(module: nn.Module, sizes: tuple[int, ...]) -> list[tuple[tuple[int, ...], int]]:
    """Return candidate input shapes for a module, each with its channel axis."""
    layers = [layer for layer in module.modules() if isinstance(layer, LAYERS)]
    conv = next((layer for layer in layers if isinstance(layer, CONVS)), None)
    first = layers[0]
    channels = (sizes_of(first) or (0, 0))[0]
    assert isinstance(channels, int)
    if conv is not None:
        return [((2, channels, *sizes[: len(conv.kernel_size)]), 1)]
    first_axis = [((2, channels, *sizes[:dims]), 1) for dims in (2, 1, 3)]
    return [first_axis[0], ((2, *sizes[:2], channels), 3), *first_axis[1:]]
