"""Replacement of `nn.Conv2d` by Winograd convolutions: for training, and with constant weights for inference.

The modules differ from `nn.Conv2d` only in their class. A call that the library does not support - another dtype,
layout or device, a map too small to benefit, a tracer - runs torch's own convolution.

Letters in shapes: n images, c and k channels, h and w sizes of the input, p and q of the output.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Self, TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import BackendError
from senet.fast.convolution.winograd import (
    LAST,
    SOURCE,
    convolved,
    fault,
    is_wide,
    tiles,
    transformed,
    turned,
    weight_gradient,
)
from senet.fast.convolution.worth import class_of, left_to_torch
from senet.fast.kernels.selfcheck import is_sound
from senet.fast.listeners import is_followed, is_watched
from senet.torch_internals import is_batched, version_of

__all__ = ["PackedConv2d", "TiledConv2d", "is_available", "is_tileable"]

PADDINGS: Mapping[tuple[int, ...] | str, int] = {(0, 0): 0, (1, 1): 1, "valid": 0, "same": 1}

# thresholds measured on an AMD EPYC (benchmarks/convolutions.py); for other processors see
# `senet.fast.convolution.worth`
NARROW = 16  # channels
WORTH = 2**21  # products of the direct convolution below which the overhead of a call exceeds the gain
FULL = 0.55  # share of used outputs in the tiles below which too much is computed in vain
MANY = 32  # tiles below which transforming the weights at every call costs more than it saves


class TiledConv2d(nn.Conv2d):
    """A 3x3 convolution for training: its weights are transformed at every call."""

    fused_backend: str = ""

    def forward(self, input: Any) -> Any:
        """Convolve."""
        own = type(self) is TiledConv2d  # False once parametrized: its weights are then recomputed at every access
        if own and self.fused_backend == "native" and _pays(input, self, constant=False):
            return Convolve.apply(input, self.weight, self.bias, _padding(self))
        return super().forward(input)


class PackedConv2d(nn.Conv2d):
    """A 3x3 convolution for inference, optionally with a ReLU; its weights are transformed at the first call.

    They are transformed again after they are moved or modified, except through `.data`, and at every call while they
    require gradients.
    """

    rectify: bool = False
    packed: tuple[Tensor, int, Tensor] | None = None  # weights, their version, their transform (4 times the bytes)

    def forward(self, input: Any) -> Any:
        """Convolve, and apply the ReLU if `rectify`."""
        own = type(self) is PackedConv2d  # False once parametrized
        wanted = torch.is_grad_enabled() and (not own or _asks_gradients(input, self.weight, self.bias))
        if own and self.weight.requires_grad:
            self.packed = None  # torch's fused optimizers do not increment the version of what they write
        if own and not wanted and _pays(input, self, constant=True):
            k, bias, padding = len(self.weight), self.bias, _padding(self)
            return convolved(input, self._transformed(), channels=k, bias=bias, padding=padding, relu=self.rectify)
        y = super().forward(input)
        if not self.rectify:
            return y
        return torch.relu(y) if wanted or torch.compiler.is_compiling() else torch.relu_(y)

    def _transformed(self) -> Tensor:
        weight = self.weight
        if weight.is_inference() or weight.requires_grad:  # writes are not counted in its version
            return transformed(weight)
        if self.packed is not None:
            kept, version, u = self.packed  # a reference to the weights prevents reuse of their address
            same = kept.data_ptr() == weight.data_ptr() and version == version_of(weight)
            if same and kept.shape == weight.shape and kept.stride() == weight.stride():  # a slice has the same address
                return u
        self.packed = weight.detach(), version_of(weight), transformed(weight)
        return self.packed[2]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Cast or move the module, and discard the transformed weights."""
        self.packed = None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for copies and pickles, without the transformed weights."""
        return {name: value for name, value in self.__dict__.items() if name != "packed"}


class Convolve(torch.autograd.Function):
    """The convolution with gradients of input, weight and bias."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "n c h w"],
        weight: Float[Tensor, "k c 3 3"],
        bias: Float[Tensor, " k"] | None,
        padding: int,
    ) -> Float[Tensor, "n k p q"]:
        """Return y."""
        ctx.padding, ctx.biased = padding, bias is not None
        ctx.save_for_backward(x, weight)
        return convolved(x, transformed(weight), channels=len(weight), bias=bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, dy: Float[Tensor, "n k p q"]) -> tuple[Tensor | None, ...]:
        """Return the gradients; computed by torch for double backward, observers and batched gradients."""
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias, _ = ctx.needs_input_grad
        if torch.is_grad_enabled() or is_watched() or is_batched(dy):
            mask, pads = [to_x, to_weight, to_bias], [ctx.padding] * 2
            words = [len(weight)] if ctx.biased else None, [1, 1], pads, [1, 1], False, [0, 0], 1, mask
            return *torch.ops.aten.convolution_backward(dy, x, weight, *words), None
        x, dy = (
            x.contiguous(memory_format=LAST),
            dy.contiguous(memory_format=LAST),
        )  # saved-tensor hooks may change the layout
        dx = dweight = dbias = None
        if to_x:
            dx = convolved(dy, turned(weight), channels=x.shape[1], bias=None, padding=2 - ctx.padding)
        if to_weight:
            dweight, dbias = weight_gradient(x, dy, like=weight, padding=ctx.padding)
        elif to_bias:
            dbias = dy.sum(dim=(0, 2, 3))
        return dx, dweight, dbias if to_bias else None, None


def is_tileable(module: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    """Return whether a module is a 3x3 convolution that the library supports (see `_fits`)."""
    return type(module) is nn.Conv2d and _fits(module)


@cache
def is_available() -> bool:
    """Return whether the library compiles, the processor has wide registers, and results agree with torch's."""
    try:
        available = is_wide() and is_sound("the 3x3 convolutions", SOURCE, fault)
    except BackendError:
        return False
    if available:
        left_to_torch()  # measured here, before any training starts
    return available


def _fits(module: nn.Conv2d) -> bool:
    """Return whether the library supports a convolution; checked at every call, since attributes may change."""
    k, c, *size = module.weight.shape
    ordinary = module.groups == 1 and module.padding_mode == "zeros" and min(c, k) >= NARROW
    return (
        ordinary
        and size == [3, 3]
        and _pair(module.stride) == _pair(module.dilation) == (1, 1)
        and _padding(module) >= 0
    )


def _pays(x: Any, module: nn.Conv2d, *, constant: bool) -> bool:
    """Return whether the library supports a call and is faster than torch's own convolution."""
    weight, bias, tensors = module.weight, module.bias, (Tensor, nn.Parameter)
    if type(x) not in tensors or type(weight) not in tensors or torch.compiler.is_compiling() or is_followed():
        return False
    given = (x, weight) if bias is None else (x, weight, bias)
    if any(each.dtype != torch.float32 or each.device.type != "cpu" for each in given) or not _fits(module):
        return False
    if x.ndim != 4 or x.shape[1] != weight.shape[1] or torch.is_autocast_enabled("cpu"):
        return False
    if bias is not None and bias.shape != weight.shape[:1]:  # torch raises the error
        return False
    padding = _padding(module)
    number, outputs = tiles(x.shape, padding) if min(x.shape[2:]) > 2 * (1 - padding) else (0, 0)
    worth = outputs > 0 and 9 * outputs * weight.shape[0] * weight.shape[1] >= WORTH
    if left_to_torch() and class_of(min(weight.shape[:2]), constant=constant) in left_to_torch():
        return False
    enough = outputs >= FULL * 16 * number and (constant or number >= MANY)
    return worth and enough and x.is_contiguous(memory_format=LAST) and is_available()


def _asks_gradients(*given: Any) -> bool:
    return any(getattr(x, "requires_grad", False) for x in given)


def _padding(module: nn.Conv2d) -> int:
    """Return the padding of a convolution on each side; -1 if it is not supported."""
    return PADDINGS.get(module.padding if isinstance(module.padding, str) else _pair(module.padding), -1)


def _pair(value: Any) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)  # an integer if set after construction
