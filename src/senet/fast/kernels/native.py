"""Python bindings of the passes in C++ (`native.cpp`).

Letters in shapes: n images, c channels, h and w sizes.
"""

import ctypes
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from senet.errors import BackendError
from senet.fast.kernels.compiled import load
from senet.fast.kernels.passes import MaybeTensor, Passes
from senet.fast.kernels.rows import combine

__all__ = ["TYPES", "native"]

TYPES = (torch.float32, torch.bfloat16)  # supported dtypes of maps
SOURCE = Path(__file__).with_name("native.cpp")


@cache
def native() -> Passes:
    """Load the passes, compiling them if they are not in the cache.

    Raises:
        BackendError: if no compiler is found, or compilation fails.
    """
    loaded = load(SOURCE)
    try:
        library = _Library(loaded)
    except AttributeError as error:
        raise BackendError(f"{SOURCE.name} lacks a function ({error}); reinstall senet.") from error
    return Passes(**{field.name: getattr(library, field.name) for field in fields(Passes)})


class _Library:
    """The functions of the library on tensors. Maps are converted to one layout and dtype, matrices are float32."""

    def __init__(self, library: ctypes.CDLL) -> None:
        size, integer, real, pointer = ctypes.c_ssize_t, ctypes.c_int, ctypes.c_double, ctypes.c_void_p
        shape = [size] * 3 + [integer] * 3

        def declared(name: str, *arguments: Any) -> Any:
            function = getattr(library, f"senet_{name}")
            function.argtypes, function.restype = arguments, None
            return function

        self._moments = declared("moments", *shape, *[pointer] * 3)
        self._apply = declared("apply", *shape, integer, *[pointer] * 6, integer, pointer)
        self._rectified_sum = declared("rectified_sum", *shape, integer, *[pointer] * 5)
        self._mask = declared("mask", *shape, *[pointer] * 8)
        self._masked_sums = declared("masked_sums", *shape, integer, *[pointer] * 8)
        self._finish = declared("finish", *shape, integer, *[pointer] * 9)
        self._combine = declared("combine", *[size] * 3, *[pointer] * 4, real, real, *[pointer] * 6)
        self._gradients = declared("gradients", *[size] * 3, integer, *[pointer] * 15)

    def moments(self, u: Tensor) -> tuple[Tensor, Tensor]:
        u, shape = _arranged(u)
        mean, variance = _matrices(u, 2)
        self._moments(*shape, u.data_ptr(), mean.data_ptr(), variance.data_ptr())
        return mean, variance

    def apply(
        self, u: Tensor, r: MaybeTensor, a: Tensor, b: Tensor, e: MaybeTensor, post: MaybeTensor, relu: bool
    ) -> Tensor:
        u, shape = _arranged(u)
        y, r = torch.empty_like(u), _like(r, u)
        rows, each = _rows(a, b, e, post)
        self._apply(*shape, each, u.data_ptr(), _pointer(r), *map(_pointer, rows), int(relu), y.data_ptr())
        return y

    def rectified_sum(self, u: Tensor, r: MaybeTensor, a: Tensor, b: Tensor) -> Tensor:
        u, shape = _arranged(u)
        (total,), r = _matrices(u, 1), _like(r, u)
        rows, each = _rows(a, b)
        self._rectified_sum(*shape, each, u.data_ptr(), _pointer(r), *map(_pointer, rows), total.data_ptr())
        return total

    def mask(self, dy: Tensor, y: MaybeTensor, u: Tensor, r: MaybeTensor) -> tuple[Tensor, ...]:
        u, shape = _arranged(u)
        dy, y, r = _like(dy, u), _like(y, u), _like(r, u)  # type: ignore[assignment]
        g = dy if y is None else torch.empty_like(u)
        sums = _matrices(u, 2 if r is None else 3)
        maps = (dy, y, u, r, g)
        self._mask(*shape, *map(_pointer, maps), *map(_pointer, (*sums, None)[:3]))
        return g, *sums

    def masked_sums(self, dy: Tensor, u: Tensor, a: Tensor, b: Tensor, full: bool) -> tuple[Tensor, ...]:
        u, shape = _arranged(u)
        dy, sums = _like(dy, u), _matrices(u, 4 if full else 2)  # type: ignore[assignment]
        rows, each = _rows(a, b)
        out = sums if full else (*sums, None, None)
        self._masked_sums(*shape, each, dy.data_ptr(), u.data_ptr(), *map(_pointer, rows), *map(_pointer, out))
        return sums

    def finish(self, g: Tensor, u: Tensor, A: Tensor, *others: MaybeTensor) -> Tensor:
        u, shape = _arranged(u)
        g, du = _like(g, u), torch.empty_like(u)  # type: ignore[assignment]
        rows, each = _rows(A, *others)
        self._finish(*shape, each, g.data_ptr(), u.data_ptr(), *map(_pointer, rows), du.data_ptr())
        return du

    def combine(
        self,
        mean: Tensor,
        variance: Tensor,
        gamma: Tensor,
        beta: Tensor,
        running: tuple[Tensor, Tensor] | None,
        momentum: float,
        eps: float,
        positions: int,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
        if running is not None and not all(_is_row(part) for part in running):
            return combine(mean, variance, gamma, beta, running, momentum, eps, positions)
        n, c = mean.shape
        centre, k, a, b = out = torch.empty(4, c, dtype=torch.float32, device="cpu").unbind()
        (gamma, beta), _ = _rows(gamma, beta)  # type: ignore[assignment]
        update = (None, None) if running is None else running
        words = [*map(_pointer, (mean, variance, gamma, beta)), eps, -1.0 if running is None else momentum]
        self._combine(n, c, positions, *words, *map(_pointer, (*update, *out)))
        return centre, k, a, b, n * positions

    def gradients(
        self,
        sg: Tensor,
        sgu: Tensor,
        s: MaybeTensor,
        q: MaybeTensor,
        e0: MaybeTensor,
        e1: MaybeTensor,
        gamma: Tensor,
        centre: Tensor,
        k: Tensor,
        positions: int,
        count: int,
        masked: bool,
    ) -> tuple[MaybeTensor, ...]:
        n, c = sg.shape
        matrices = torch.empty(3 if masked else 2, n, c, dtype=torch.float32, device="cpu").unbind()
        dgamma, dbeta, B = torch.empty(3, c, dtype=torch.float32, device="cpu").unbind()
        A, C, D = (*matrices, None)[:3]
        given, _ = _rows(sg, sgu, s, q, e0, e1, gamma, centre, k)
        words = (*given, dgamma, dbeta, A, B, C, D)
        self._gradients(n, c, positions, int(count > 0), *map(_pointer, words))
        return dgamma, dbeta, A, B, C, D


def _arranged(u: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Return a map in one of the two supported layouts, and its description for the library."""
    n, c, h, w = u.shape
    last = u.is_contiguous(memory_format=torch.channels_last)
    if not last:
        u = u.contiguous()
    return u, (n, c, h * w, int(last), int(u.dtype == torch.bfloat16), torch.get_num_threads())


def _like(x: MaybeTensor, u: Tensor) -> MaybeTensor:
    """Return a map in the layout and dtype of u."""
    if x is None or (x.dtype == u.dtype and x.stride() == u.stride()):
        return x
    last = u.is_contiguous(memory_format=torch.channels_last)
    return x.to(u.dtype).contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def _matrices(u: Tensor, number: int) -> tuple[Tensor, ...]:
    return torch.empty(number, *u.shape[:2], dtype=torch.float32, device="cpu").unbind()


def _rows(*rows: MaybeTensor) -> tuple[list[MaybeTensor], int]:
    """Return coefficients in the layout of the library, and a bit mask of those that differ between images."""
    ready = [None if row is None else row if _is_row(row) else row.float().contiguous() for row in rows]
    return ready, sum(1 << place for place, row in enumerate(ready) if row is not None and row.ndim == 2)


def _is_row(row: Tensor) -> bool:
    return row.dtype == torch.float32 and row.is_contiguous()


def _pointer(x: MaybeTensor) -> int | None:
    return None if x is None else x.data_ptr()
