"""Python bindings of `winograd.cpp`: 3x3 convolutions of stride 1 in float32, channels last, on a CPU.

Letters in shapes: n images, c and k channels, h and w sizes of the input, p and q of the output.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from senet.errors import BackendError
from senet.fast.kernels.compiled import load
from senet.fast.kernels.selfcheck import apart

__all__ = ["SOURCE", "convolved", "fault", "is_wide", "tiles", "transformed", "turned", "weight_gradient"]

SOURCE = Path(__file__).with_name("winograd.cpp")
SIDE = 4  # outputs of a tile in each direction
LAST = torch.channels_last

Map = Float[Tensor, "n c h w"]
Convolved = Float[Tensor, "n k p q"]
Weight = Float[Tensor, "k c 3 3"]
Transformed = Float[Tensor, " frequencies"]  # transformed weights in the layout of the library


def tiles(shape: torch.Size, padding: int) -> tuple[int, int]:
    """Return the number of 4x4 tiles for a map (n, c, h, w), and the number of outputs."""
    n, _, h, w = shape
    p, q = h + 2 * padding - 2, w + 2 * padding - 2
    return n * -(-p // SIDE) * -(-q // SIDE), n * p * q


def is_wide() -> bool:
    """Return whether registers hold sixteen values, as on the processors on which the thresholds were measured."""
    return bool(library().senet_winograd_wide())


def transformed(weight: Weight) -> Transformed:
    """Return the weights transformed to 36 frequencies, in the layout of the library."""
    k, c = weight.shape[:2]
    u = _floats(library().senet_winograd_floats(c, k))
    library().senet_winograd_weights(c, k, weight.data_ptr(), *weight.stride(), u.data_ptr())
    return u


def turned(weight: Weight) -> Transformed:
    """Return the transformed weights for the gradient of the map: rotated by 180 degrees, channels swapped."""
    k, c = weight.shape[:2]
    to_k, to_c, to_row, to_column = weight.stride()
    u = _floats(library().senet_winograd_floats(k, c))
    last = weight.data_ptr() + weight.element_size() * 2 * (to_row + to_column)
    library().senet_winograd_weights(k, c, last, to_c, to_k, -to_row, -to_column, u.data_ptr())
    return u


def convolved(
    x: Map, u: Transformed, *, channels: int, bias: Float[Tensor, " k"] | None, padding: int, relu: bool = False
) -> Convolved:
    """Return the convolution of a map.

    Args:
        x: the map, channels last.
        u: weights from `transformed`.
        channels: output channels, k.
        bias: bias of the output channels; None is 0.
        padding: 0, 1 or 2.
        relu: apply a ReLU to the result.

    Source:
        Lavin and Gray, arXiv:1509.09308, section 4.
    """
    n, c, h, w = x.shape
    layer = n, h, w, c, channels, padding, torch.get_num_threads()
    size = h + 2 * padding - 2, w + 2 * padding - 2
    y = torch.empty(n, channels, *size, dtype=torch.float32, device="cpu", memory_format=LAST)
    scratch = _scratch(layer, gradient=False)
    offset = None if bias is None else bias.contiguous()
    pointers = x.data_ptr(), u.data_ptr(), None if offset is None else offset.data_ptr()
    library().senet_winograd_forward(*layer, *pointers, int(relu), scratch.data_ptr(), y.data_ptr())
    return y


def weight_gradient(x: Map, dy: Convolved, *, like: Weight, padding: int) -> tuple[Weight, Float[Tensor, " k"]]:
    """Return the gradients of weights and bias.

    Args:
        x: input of the convolution, channels last.
        dy: gradient of its output, channels last.
        like: the weights; their gradient gets the same memory layout.
        padding: padding of the convolution.
    """
    n, c, h, w = x.shape
    layer = n, h, w, c, dy.shape[1], padding, torch.get_num_threads()
    dg = torch.empty_like(like)
    dbias = _floats(dy.shape[1])
    scratch = _scratch(layer, gradient=True)
    out = scratch.data_ptr(), dg.data_ptr(), dbias.data_ptr()
    library().senet_winograd_weight_gradient(*layer, x.data_ptr(), dy.data_ptr(), *dg.stride(), *out)
    return dg, dbias


def fault() -> str:
    """Return a description of the first test case with a wrong result; empty if all are correct."""
    random = torch.Generator().manual_seed(0)
    for n, c, k, h, w, padding in ((2, 16, 17, 7, 5, 1), (1, 19, 16, 6, 9, 0), (3, 33, 40, 5, 12, 1)):
        x = torch.randn(n, c, h, w, generator=random).contiguous(memory_format=LAST)
        weight, bias = torch.randn(k, c, 3, 3, generator=random), torch.randn(k, generator=random)
        y = F.conv2d(x, weight, bias, padding=padding)
        dy = torch.randn(y.shape, generator=random).contiguous(memory_format=LAST)
        asked = ([k], [1, 1], [padding] * 2, [1, 1], False, [0, 0], 1, [True] * 3)
        wanted = (torch.relu(y), *torch.ops.aten.convolution_backward(dy, x, weight, *asked))
        found = (
            convolved(x, transformed(weight), channels=k, bias=bias, padding=padding, relu=True),
            convolved(dy, turned(weight), channels=c, bias=None, padding=2 - padding),
            *weight_gradient(x, dy, like=weight, padding=padding),
        )
        names = ("the result", "the gradient of the map", "that of the weights", "that of the bias")
        for name, one, other in zip(names, found, wanted, strict=True):
            if why := apart(one, other, torch.float32):
                return f"{name} of {n}x{c}x{h}x{w} to {k} channels, padding {padding}, {why}"
    return ""


def _scratch(layer: tuple[int, ...], *, gradient: bool) -> Tensor:
    return _floats(library().senet_winograd_scratch(*layer, int(gradient)))


def _floats(number: int) -> Tensor:
    return torch.empty(number, dtype=torch.float32, device="cpu")


@cache
def library() -> Any:
    """Load the library, compiling it if it is not in the cache.

    Raises:
        BackendError: if no compiler is found, or compilation fails.
    """
    loaded = load(SOURCE)
    size, integer, pointer = ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p
    layer, strides = [*[size] * 6, integer], [size] * 4
    signatures = {
        "wide": ([], integer),
        "floats": ([size, size], size),
        "scratch": ([*layer, integer], size),
        "weights": ([size, size, pointer, *strides, pointer], None),
        "forward": ([*layer, pointer, pointer, pointer, integer, pointer, pointer], None),
        "weight_gradient": ([*layer, pointer, pointer, *strides, pointer, pointer, pointer], None),
    }
    for name, (arguments, result) in signatures.items():
        try:
            function = getattr(loaded, f"senet_winograd_{name}")
        except AttributeError as error:
            raise BackendError(f"{SOURCE.name} lacks a function ({error}); reinstall senet.") from error
        function.argtypes, function.restype = arguments, result
    return loaded
